#include "app/runner/host_process.h"
#include "tests/support/suite.h"

#include <functional>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

rlim_t mostFiles()
{
    rlimit files {};
    ::getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur;
}

/// The limit of a process is for life.
bool isTrueInAChild(std::function<bool()> const& what)
{
    auto const child = ::fork();
    if (child == 0)
        ::_exit(what() ? 0 : 1);
    int status = 0;
    return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}

class HostProcessTest final : public QObject {
    Q_OBJECT

private slots:
    void hasAllTheFilesThatItMay()
    {
        QVERIFY(isTrueInAChild([] {
            rlimit const files { 100, 200 };
            ::setrlimit(RLIMIT_NOFILE, &files);
            app::becomeHostProcess();
            return mostFiles() == 200;
        }));
    }

    /// It may use select().
    void whatItForksHasAsManyAsBefore()
    {
        QVERIFY(isTrueInAChild([] {
            rlimit const files { 100, 200 };
            ::setrlimit(RLIMIT_NOFILE, &files);
            app::becomeHostProcess();
            return isTrueInAChild([] { return mostFiles() == 100; });
        }));
    }
};

REGISTER_SUITE(HostProcessTest);
#include "host_process_test.moc"
