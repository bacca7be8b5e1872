#pragma once

#include "app/ctl/output.h"

#include <QByteArray>
#include <cstdlib>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace tests {

/// A pseudo terminal: what a person sits at, and what a program sees.
struct Terminal {
    vmm::UniqueFd person { ::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) };
    vmm::UniqueFd program;
    QByteArray shown;

    Terminal(unsigned short columns, unsigned short rows)
    {
        char name[64];
        if (::grantpt(person.get()) != 0 || ::unlockpt(person.get()) != 0
            || ::ptsname_r(person.get(), name, sizeof name) != 0)
            qFatal("no pseudo terminal");
        program.reset(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
        resize(columns, rows);
    }
    void resize(unsigned short columns, unsigned short rows) const
    {
        winsize const size { rows, columns, 0, 0 };
        ::ioctl(person.get(), TIOCSWINSZ, &size);
    }
    void type(std::string_view text) const { app::ctl::writeAll(person.get(), text); }
    /// Until now.
    bool hasShown(QByteArray const& text)
    {
        char buffer[4096];
        for (ssize_t got; (got = ::read(person.get(), buffer, sizeof buffer)) > 0;)
            shown.append(buffer, got);
        return shown.contains(text);
    }
};

}
