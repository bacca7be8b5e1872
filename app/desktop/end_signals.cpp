#include "app/desktop/end_signals.h"

#include <csignal>
#include <sys/signalfd.h>
#include <unistd.h>

namespace app {

EndSignals::EndSignals()
{
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (int const signal : { SIGTERM, SIGINT, SIGHUP })
        ::sigaddset(&wanted, signal);
    ::pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
    m_fd.reset(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
}

void EndSignals::listen()
{
    m_notifier = std::make_unique<QSocketNotifier>(m_fd.get(), QSocketNotifier::Read);
    connect(m_notifier.get(), &QSocketNotifier::activated, this, [this] {
        signalfd_siginfo information {};
        if (::read(m_fd.get(), &information, sizeof information) == sizeof information)
            emit asked();
    });
}

}
