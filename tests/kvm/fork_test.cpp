#include "tests/support/answer.h"
#include "tests/support/held_port.h"
#include "tests/support/library_guest.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"

#include <QTemporaryDir>
#include <cstring>

using namespace app;
using Guest = tests::LibraryGuest;

/// A machine that becomes two while it runs: our demo guest, which counts in its memory and on its disk each second and
/// says when the two differ.
class ForkTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void bothGoOn();
    void itComesWithoutTheOriginalsPorts();

private:
    QTemporaryDir m_directory;
    MachineStore m_store { m_directory.path().toStdString() };
};

namespace {

/// Free a moment ago.
std::pair<std::uint16_t, std::uint16_t> twoFreePorts()
{
    tests::HeldPort const one, other;
    return { one.port, other.port };
}

/// What the demo guest has counted on its disk: how often it was started, and seconds.
std::pair<std::uint64_t, std::uint64_t> countOn(StoredMachine const& machine)
{
    vmm::InlineEngine engine;
    vmm::ImageOptions options;
    options.format = vmm::ImageFormat::Qcow2;
    auto const image = tests::must(vmm::BlockImage::open(engine, machine.config.disks[0].path, options));
    vmm::Bytes sector(512);
    tests::must(image->readSync(0, sector));
    std::pair<std::uint64_t, std::uint64_t> count;
    std::memcpy(&count.first, sector.data() + 16, 8);
    std::memcpy(&count.second, sector.data() + 24, 8);
    return count;
}

}

void ForkTest::initTestCase()
{
    auto const made = tests::must(m_store.create(tests::demoMachine("first")));
    Guest guest(m_store, made);
    if (auto const started = guest.start(); !started && started.error().code == vmm::ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
}

void ForkTest::bothGoOn()
{
    auto const first = tests::must(m_store.find("first"));
    auto original = std::make_unique<Guest>(m_store, first);
    REQUIRE_OK(original->start());
    QVERIFY2(original->wait("Chronovisor demo machine").hasMatch(), qPrintable(original->said()));
    QVERIFY(original->ask("mem fill 16", "16 MiB filled").hasMatch());
    QString const agree = "Memory and disk agree. Boot (\\d+),";
    auto const boots = original->ask("count", agree).captured(1).toULongLong();
    QVERIFY2(boots > 0, qPrintable(original->said()));

    // Forked while it runs.
    auto const moment = tests::must(original->keep());
    auto const second = tests::must(m_store.fork(first.id, moment, "second"));
    QVERIFY(original->ask("mem check", "16 MiB read, 0 of").hasMatch());
    QCOMPARE(original->ask("count", agree).captured(1).toULongLong(), boots);

    Guest fork(m_store, second);
    REQUIRE_OK(fork.start());
    QVERIFY(fork.ask("mem check", "16 MiB read, 0 of").hasMatch());
    QCOMPARE(fork.ask("count", agree).captured(1).toULongLong(), boots);

    // Each goes its own way: one in memory, the other on its disk.
    QVERIFY(fork.ask("mem fill 24", "24 MiB filled").hasMatch());
    QVERIFY(original->ask("mem check", "16 MiB read, 0 of").hasMatch());
    REQUIRE_OK(original->end());
    REQUIRE_OK(original->start());
    QVERIFY(original->wait("Chronovisor demo machine").hasMatch());
    QCOMPARE(original->ask("count", agree).captured(1).toULongLong(), boots + 1);
    QThread::sleep(2); // both count
    QCOMPARE(fork.ask("count", agree).captured(1).toULongLong(), boots);
    QVERIFY(fork.ask("mem check", "24 MiB read, 0 of").hasMatch());
    REQUIRE_OK(original->end());
    QCOMPARE(countOn(first).first, boots + 1);

    // Nothing of the original is needed any more.
    original.reset();
    REQUIRE_OK(m_store.remove(first.id));
    REQUIRE_OK(m_store.emptyTrash());
    QVERIFY(fork.ask("mem check", "24 MiB read, 0 of").hasMatch());
    QVERIFY(fork.ask("count", agree).hasMatch());
    auto const beginning = tests::must(fork.runner.timeline())->moments().front().id;
    REQUIRE_OK(tests::answerOf([&](auto done) { fork.runner.goTo(beginning, MachineRunner::Present::Keep, done); }));
    QVERIFY(fork.ask("mem check", "16 MiB read, 0 of").hasMatch());
    QVERIFY2(fork.ask("count", agree).hasMatch(), qPrintable(fork.said()));
    REQUIRE_OK(fork.end());
    QCOMPARE(countOn(second).first, boots);
}

/// Which lead to one machine only: the fork runs beside it, and has them when it is alone.
void ForkTest::itComesWithoutTheOriginalsPorts()
{
    auto request = tests::demoMachine("with ports");
    auto const [ssh, web] = twoFreePorts();
    request.config.networks = { { "net0", {}, vmm::NetworkMode::User,
        { { vmm::Protocol::Tcp, "127.0.0.1", ssh, 22 }, { vmm::Protocol::Tcp, "127.0.0.1", web, 80 } } } };
    auto const first = tests::must(m_store.create(std::move(request)));
    Guest original(m_store, first);
    REQUIRE_OK(original.start());
    auto const second = tests::must(m_store.fork(first.id, tests::must(original.keep()), "its fork"));
    QCOMPARE(second.config.networks[0].forwards, first.config.networks[0].forwards);

    std::mutex mutex;
    std::vector<vmm::ErrorCode> missed;
    Guest fork(m_store, second);
    auto const observer = fork.runner.addObserver([&](Notice const& notice) {
        std::lock_guard const lock(mutex);
        if (auto const* ports = std::get_if<notice::ForwardsMissed>(&notice); ports && ports->network == "net0")
            missed.push_back(ports->why.code);
    });
    auto const timesMissed = [&] {
        std::lock_guard const lock(mutex);
        return missed.size();
    };
    REQUIRE_OK(fork.start());
    QTRY_COMPARE(timesMissed(), std::size_t(1)); // both ports at once
    QCOMPARE(missed[0], vmm::ErrorCode::Busy);
    QVERIFY(fork.ask("count", "Memory and disk agree").hasMatch());
    REQUIRE_OK(tests::answerOf([&](auto done) { fork.runner.suspend(done); }));
    REQUIRE_OK(original.end());
    REQUIRE_OK(fork.start());
    QVERIFY(fork.ask("count", "Memory and disk agree").hasMatch());
    REQUIRE_OK(fork.end());
    QCOMPARE(timesMissed(), std::size_t(1));
    fork.runner.removeObserver(observer);
}

REGISTER_SUITE(ForkTest);
#include "fork_test.moc"
