#include "app/desktop/single_instance.h"
#include "tests/support/suite.h"

#include <QDir>
#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QThread>
#include <future>
#include <sys/wait.h>
#include <unistd.h>

using namespace app;

class SingleInstanceTest : public QObject {
    Q_OBJECT
private slots:
    void initTestCase()
    {
        QVERIFY(QFile::setPermissions(m_runtime.path(), QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner));
        qputenv("XDG_RUNTIME_DIR", m_runtime.path().toUtf8());
    }

    void theSecondHandsOverToTheFirst()
    {
        SingleInstance first("/library");
        QVERIFY(!first.handOver({}));
        QSignalSpy asked(&first, &SingleInstance::asked);
        auto second = std::async(std::launch::async, [] { return SingleInstance("/library").handOver("/some.iso"); });
        QVERIFY(asked.wait(tests::waitLimit));
        QVERIFY(second.get());
        QCOMPARE(asked[0][0].toString(), QString("/some.iso"));
        SingleInstance other("/another library");
        QVERIFY(!other.handOver({}));
    }

    void ofSeveralThatStartTogetherOneStays()
    {
        // Each on a thread with an event loop of its own, as processes have.
        constexpr int count = 6;
        std::atomic<int> staying = 0, decided = 0;
        std::vector<std::unique_ptr<QThread>> threads;
        for (int i = 0; i < count; ++i) {
            threads.emplace_back(QThread::create([&] {
                SingleInstance instance("/crowded");
                staying += instance.handOver({}) ? 0 : 1;
                ++decided;
                while (decided < count) {
                    QCoreApplication::processEvents();
                    QThread::msleep(5);
                }
            }));
            threads.back()->start();
        }
        for (auto const& thread : threads)
            QVERIFY(thread->wait(20000));
        QCOMPARE(staying.load(), 1);
    }

    void whoCrashedLeavesTheWayFree()
    {
        auto const child = ::fork();
        if (child == 0) {
            SingleInstance crashed("/crash");
            ::_exit(crashed.handOver({}) ? 1 : 0); // its socket stays
        }
        int status = -1;
        QCOMPARE(::waitpid(child, &status, 0), child);
        QCOMPARE(status, 0);
        QCOMPARE(QDir(m_runtime.path()).entryList({ "chronovisor-desktop-*" }, QDir::System).size(), 1);
        SingleInstance next("/crash");
        QVERIFY(!next.handOver({}));
        QSignalSpy asked(&next, &SingleInstance::asked);
        auto third = std::async(std::launch::async, [] { return SingleInstance("/crash").handOver("/some.iso"); });
        QVERIFY(asked.wait(tests::waitLimit));
        QVERIFY(third.get());
    }

private:
    QTemporaryDir m_runtime;
};

REGISTER_SUITE(SingleInstanceTest);
#include "single_instance_test.moc"
