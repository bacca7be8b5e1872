#include "tests/support/guest_machine.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/checkpoint.h"
#include "vmm/block/image.h"

#include <QFile>
#include <QRegularExpression>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

/// A disk that takes over what it stands on, or gives that what it has, while its guest writes. The guest is
/// tests/guests/counter.c, which counts in memory and on its disk, and compares each time.
class DiskStreamTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void theGuestWritesMeanwhile();
    void whatIsCancelledGoesOnLater();
    void aSuspendEndsIt();
    void theGuestWritesWhileItsDiskGoesDown_data();
    void theGuestWritesWhileItsDiskGoesDown();
    void aCommitThatIsCancelledLeavesTheDiskAsItWas();
};

namespace {

constexpr std::uint64_t size = 16 << 20, counted = 1 << 20; // the guest's part is at the beginning

struct Overlay : GuestMachine {
    QString const base, top = folder() + "/top";

    explicit Overlay(QString const& baseName = "base", ImageFormat baseFormat = ImageFormat::Raw)
        : GuestMachine("guests/counter.elf", "disks=1"), base(folder() + "/" + baseName)
    {
        config.memoryMiB = 64;
        tests::must(createImage(base.toStdString(), { .format = baseFormat, .size = size }));
        {
            InlineEngine engine;
            ImageOptions options;
            options.format = baseFormat;
            auto const image = tests::must(BlockImage::open(engine, base.toStdString(), options));
            auto const bytes = content();
            tests::must(image->writeSync(
                counted, ConstByteSpan(reinterpret_cast<std::uint8_t const*>(bytes.constData()), bytes.size())));
            tests::must(image->flushSync());
        }
        tests::must(createImage(
            top.toStdString(), { .size = size, .backingFile = baseName.toStdString(), .backingFormat = baseFormat }));
        addDiskAt(top, DiskBus::Virtio);
        config.disks.back().format = DiskFormat::Qcow2;
    }
    static QByteArray content()
    {
        QByteArray bytes(qsizetype(size - counted), Qt::Uninitialized);
        for (qsizetype i = 0; i < bytes.size(); ++i)
            bytes[i] = char(i / 4096 * 11 + i + 1);
        return bytes;
    }
    bool countsOn()
    {
        clearLines();
        return waitForWholeLine("COUNT", 30s) && lines().filter("DISAGREE").isEmpty();
    }
    Result<> stream(std::function<bool(double)> progress = {})
    {
        return machine().call(command::StreamDisk { config.disks[0].id, {}, std::move(progress) });
    }
    Result<> commit(std::function<bool(double)> progress = {})
    {
        command::CommitDisk command { config.disks[0].id };
        command.progress = std::move(progress);
        return machine().call(command);
    }
    /// What is wrong with what the disk had from below.
    QString problem()
    {
        InlineEngine engine;
        ImageOptions options;
        options.format = ImageFormat::Qcow2;
        auto const image = tests::must(BlockImage::open(engine, top.toStdString(), options));
        Bytes data(size - counted);
        tests::must(image->readSync(counted, data));
        return std::equal(data.begin(), data.end(), reinterpret_cast<std::uint8_t const*>(content().constData()))
            ? QString()
            : QString("the disk holds something else");
    }
    QString said() { return reason() + lines().join('\n'); }
};

}

void DiskStreamTest::initTestCase()
{
    Overlay guest;
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
}

void DiskStreamTest::theGuestWritesMeanwhile()
{
    Overlay guest;
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    std::optional<Result<>> kept, second;
    double last = 0;
    auto const progress = [&](double part) {
        if (!kept) {
            kept = guest.machine().call(command::KeepMoment { guest.timeline(), {} });
            second = guest.stream();
        }
        last = part;
        return true;
    };
    REQUIRE_OK(guest.stream(progress));
    QCOMPARE(kept->error().code, ErrorCode::Busy);
    QCOMPARE(second->error().code, ErrorCode::Busy); // one at a time
    QVERIFY(last > 0.5);
    QVERIFY(QFile::remove(guest.base));
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    QCOMPARE(guest.stream().error().code, ErrorCode::Unsupported);
    // It is a disk like any other.
    auto const after = tests::must(guest.keepMoment("after"));
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    REQUIRE_OK(guest.goTo(after));
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    guest.end();
    QCOMPARE(guest.problem(), QString());
}

void DiskStreamTest::whatIsCancelledGoesOnLater()
{
    Overlay guest;
    REQUIRE_OK(guest.start());
    QCOMPARE(guest.stream([](double part) { return part < 0.5; }).error().code, ErrorCode::Cancelled);
    QCOMPARE(guest.machine().state(), RunState::Running);
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    REQUIRE_OK(guest.machine().call(command::Pause {}));
    REQUIRE_OK(guest.stream());
    QVERIFY(QFile::remove(guest.base));
    REQUIRE_OK(guest.machine().call(command::Resume {}));
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    guest.end();
    QCOMPARE(guest.problem(), QString());
}

void DiskStreamTest::aSuspendEndsIt()
{
    Overlay guest;
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    bool asked = false;
    auto const streamed = guest.stream([&](double) {
        if (!std::exchange(asked, true))
            guest.machine().post(command::Suspend { guest.folder().toStdString() + "/suspended" });
        return true;
    });
    QCOMPARE(streamed.error().code, ErrorCode::Cancelled);
    QVERIFY(guest.waitForState(RunState::Off, 30s));
    REQUIRE_OK(guest.restore());
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    REQUIRE_OK(guest.stream());
    guest.end();
    QCOMPARE(guest.problem(), QString());
}

void DiskStreamTest::theGuestWritesWhileItsDiskGoesDown_data()
{
    QTest::addColumn<bool>("isCheckpoints");
    QTest::newRow("to a person's file") << false;
    QTest::newRow("to a checkpoint's") << true;
}

void DiskStreamTest::theGuestWritesWhileItsDiskGoesDown()
{
    QFETCH(bool, isCheckpoints);
    Overlay guest(isCheckpoints ? "top." + QString::fromStdString(makeUuid()) : "base",
        isCheckpoints ? ImageFormat::Qcow2 : ImageFormat::Raw);
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    std::optional<Result<>> kept, second;
    auto const progress = [&](double) {
        if (!kept) {
            kept = guest.machine().call(command::KeepMoment { guest.timeline(), {} });
            second = guest.commit();
        }
        return true;
    };
    REQUIRE_OK(guest.commit(progress));
    QCOMPARE(kept->error().code, ErrorCode::Busy);
    QCOMPARE(second->error().code, ErrorCode::Busy);
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    QCOMPARE(QFile::exists(guest.base), !isCheckpoints);
    auto const again = guest.commit(); // of what was written since
    QVERIFY(isCheckpoints ? !again && again.error().code == ErrorCode::Unsupported : again.has_value());
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    // It is a disk like any other.
    auto const after = tests::must(guest.keepMoment("after"));
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    REQUIRE_OK(guest.goTo(after));
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    guest.end();
    QCOMPARE(guest.problem(), QString());
}

void DiskStreamTest::aCommitThatIsCancelledLeavesTheDiskAsItWas()
{
    Overlay guest;
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    QCOMPARE(guest.commit([](double part) { return part < 0.5; }).error().code, ErrorCode::Cancelled);
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    auto refused = command::CommitDisk { guest.config.disks[0].id };
    refused.mayChange = [](std::string const& base) { return fail(ErrorCode::Busy, base + " is needed"); };
    QCOMPARE(guest.machine().call(refused).error().code, ErrorCode::Busy);
    auto const kept = tests::must(guest.keepMoment("meanwhile"));
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    REQUIRE_OK(guest.goTo(kept));
    QVERIFY2(guest.countsOn(), qPrintable(guest.said()));
    guest.end();
    QCOMPARE(guest.problem(), QString());
}

REGISTER_SUITE(DiskStreamTest);
#include "disk_stream_test.moc"
