#pragma once

#include "app/ctl/chronoctl.h"
#include "app/store/whole_file.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"

#include <QDir>
#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <atomic>
#include <fcntl.h>
#include <thread>

namespace tests {

/// Every verb with fake machines, in directories of its own.
struct ChronoctlBench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    app::MachineStore store { path("data") };
    std::string program = "/bin/false"; ///< what is run for a machine in the background

    ChronoctlBench()
    {
        QDir().mkpath(directory.filePath("data/machines"));
        QDir().mkpath(directory.filePath("run"));
    }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }

    struct Said {
        int code = -1;
        QByteArray out, err;
    };
    /// One call of chronoctl; what is typed comes from a file.
    Said call(std::vector<std::string> arguments, QByteArray const& typed = {}) { return call(arguments, typed, -1); }
    /// The same, or from a terminal.
    Said call(std::vector<std::string> arguments, QByteArray const& typed, int terminal)
    {
        static std::atomic<int> number = 0;
        auto const name = path(("io" + std::to_string(++number)).c_str());
        vmm::ignore(app::writeWholeFile(
            name + ".in", { reinterpret_cast<std::uint8_t const*>(typed.constData()), std::size_t(typed.size()) }));
        vmm::UniqueFd const in(::open((name + ".in").c_str(), O_RDONLY | O_CLOEXEC));
        vmm::UniqueFd const out(::open((name + ".out").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        vmm::UniqueFd const err(::open((name + ".err").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        app::ctl::Surroundings around { store, path("run"), FakeMachine::factory(script),
            terminal >= 0 ? terminal : in.get(), out.get(), err.get(), program,
            CHRONOVISOR_BINARY "/lib/chronovisor/systems.so" };
        Said said;
        said.code = app::ctl::runChronoctl(arguments, around);
        said.out = contents(name + ".out");
        said.err = contents(name + ".err");
        return said;
    }
    static QByteArray contents(std::string const& name)
    {
        QFile file(QString::fromStdString(name));
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    }
    QJsonDocument json(std::vector<std::string> arguments)
    {
        arguments.insert(arguments.begin(), "--json");
        return QJsonDocument::fromJson(call(arguments).out);
    }
    /// All verbs, as the help has them.
    QStringList verbs()
    {
        auto const help = QString::fromUtf8(call({ "--help" }).out);
        QStringList found;
        for (auto const& line : help.mid(help.indexOf("Subcommands:")).split('\n').mid(1)) {
            if (line.startsWith("  ") && !line.startsWith("   "))
                found += line.trimmed().section(' ', 0, 0);
        }
        return found;
    }
    /// What the first argument of a verb can be.
    QStringList choices(QString const& verb)
    {
        auto const help = QString::fromUtf8(call({ verb.toStdString(), "--help" }).out);
        return help.section('{', 1, 1).section('}', 0, 0).split(',');
    }
    QStringList options(QString const& verb)
    {
        auto const help = QString::fromUtf8(call({ verb.toStdString(), "--help" }).out);
        QStringList found;
        for (auto const& line : help.mid(help.indexOf("Options:")).split('\n')) {
            if (line.startsWith("  --"))
                found += line.trimmed().section(' ', 0, 0).section(',', 0, 0);
        }
        return found;
    }
    QString stateOf(char const* machine) { return json({ "show", machine })["state"].toString(); }
};

/// `chronoctl run`, or another verb that stays, on a thread, as the process of its own that it is otherwise.
struct Hosting {
    ChronoctlBench& bench;
    ChronoctlBench::Said said;
    std::atomic<bool> hasEnded = false;
    std::thread thread;

    Hosting(ChronoctlBench& owner, std::vector<std::string> arguments, QByteArray const& typed = {}, int terminal = -1,
        std::string const& verb = "run")
        : bench(owner)
    {
        arguments.insert(arguments.begin(), verb);
        thread = std::thread([this, arguments, typed, terminal] {
            said = bench.call(arguments, typed, terminal);
            hasEnded = true;
        });
    }
    ~Hosting()
    {
        // Only where the test has failed; and the machine may be about to come.
        while (!becomes([this] { return hasEnded.load(); })) {
            bench.script->holdKeep = false;
            if (bench.script->alive > 0) {
                bench.script->last->keepWhatIsHeld();
                bench.script->last->guestPowersOff();
            }
        }
        end();
    }
    bool isRunning(char const* machine)
    {
        return becomes([&] { return bench.stateOf(machine) == "running"; });
    }
    ChronoctlBench::Said const& end()
    {
        if (thread.joinable())
            thread.join();
        return said;
    }
};

}
