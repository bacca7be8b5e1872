#include "tests/support/guest_machine.h"
#include "tests/support/media.h"
#include "tests/support/small_file_system.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"

#include <QFile>
#include <QRegularExpression>
#include <QTemporaryDir>
#include <csignal>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

namespace {

/// A limit of this process, and what it was when this is gone.
class Limit {
public:
    Limit(int resource, rlim_t value) : m_resource(static_cast<__rlimit_resource>(resource))
    {
        ::getrlimit(m_resource, &m_before);
        auto limit = m_before;
        limit.rlim_cur = value;
        ::setrlimit(m_resource, &limit);
    }
    ~Limit() { ::setrlimit(m_resource, &m_before); }

private:
    __rlimit_resource m_resource;
    rlimit m_before {};
};

/// This process's largest anonymous memory of exactly this size: a guest's RAM.
std::uint8_t* findMemory(std::uint64_t size)
{
    QFile maps("/proc/self/maps");
    if (!maps.open(QIODevice::ReadOnly))
        return nullptr;
    static QRegularExpression const expression("^([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0\\s*$");
    for (auto const& line : maps.readAll().split('\n')) {
        auto const match = expression.match(line);
        auto const begin = match.captured(1).toULongLong(nullptr, 16), end = match.captured(2).toULongLong(nullptr, 16);
        if (match.hasMatch() && end - begin == size)
            return reinterpret_cast<std::uint8_t*>(begin);
    }
    return nullptr;
}

}

/// What a host can fail in while a machine runs: the machine stands still and says why, and goes on when it is told to,
/// with nothing lost. The guests check each byte that they get.
class HostFailuresTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { std::signal(SIGXFSZ, SIG_IGN); } // as app/runner/host_process.h
    void fileSizeLimit_data() { formats(); }
    void fileSizeLimit();
    void fullFileSystem_data() { formatsAndSticks(); }
    void fullFileSystem();
    void shortenedImage_data();
    void shortenedImage();
    void shortenedBacking();
    void deletedBacking();
    void deletedImage_data() { formatsAndSticks(); }
    void deletedImage();
    void shortenedDisc();
    void deletedDisc();
    void memoryDenied();
    void memoryRefusedAtStart();
    void brokenMemory();
    void brokenMemoryOfAMachineThatIsOff();

private:
    static void formats();
    static void formatsAndSticks();
    /// A guest that writes over its whole disk and compares.
    static std::unique_ptr<GuestMachine> diskGuest(DiskBus bus, ImageFormat format, QString const& folder = {});
    /// The same with a qcow2 disk that stands on a file of zeros, and the path of that.
    static std::pair<std::unique_ptr<GuestMachine>, QString> guestOverAFile();
    /// A guest that reads a CD, and the path of that.
    static std::pair<std::unique_ptr<GuestMachine>, QString> guestWithADisc();
    static bool paused(GuestMachine& guest, QString const& reason);
    static bool finishes(GuestMachine& guest);
    /// The demo machine reads and writes its disk each second.
    static bool demoAnswers(GuestMachine& guest);
};

void HostFailuresTest::formats()
{
    QTest::addColumn<DiskBus>("bus");
    QTest::addColumn<ImageFormat>("format");
    QTest::newRow("virtio, raw") << DiskBus::Virtio << ImageFormat::Raw;
    QTest::newRow("virtio, qcow2") << DiskBus::Virtio << ImageFormat::Qcow2;
    QTest::newRow("ahci, raw") << DiskBus::Ahci << ImageFormat::Raw;
    QTest::newRow("ahci, qcow2") << DiskBus::Ahci << ImageFormat::Qcow2;
}

std::unique_ptr<GuestMachine> HostFailuresTest::diskGuest(DiskBus bus, ImageFormat format, QString const& folder)
{
    auto const* const program = bus == DiskBus::Virtio ? "guests/block.elf"
        : bus == DiskBus::Ahci                         ? "guests/ahci.elf"
                                                       : "guests/usb.elf";
    auto guest = std::make_unique<GuestMachine>(program, "disks=1");
    if (isUsb(bus)) { // with all that this guest wants to see
        guest->config.usbControllers = { { "usb0" } };
        guest->config.usbDevices = { { "keyboard0", UsbKind::Keyboard }, { "hub0", UsbKind::Hub },
            { "keyboard1", UsbKind::Keyboard, "hub0" }, { "tablet0", UsbKind::Tablet } };
    }
    auto const path = (folder.isEmpty() ? guest->folder() : folder).toStdString() + "/small.img";
    tests::must(createImage(path, { .format = format, .size = 1 << 20 }));
    guest->config.disks.push_back({ "disk0", path, std::nullopt, bus, false, 1 });
    return guest;
}

bool HostFailuresTest::paused(GuestMachine& guest, QString const& reason)
{
    if (guest.waitForState(RunState::Paused, 20s) && guest.reason().contains(reason))
        return true;
    qWarning("%s\n%s", qPrintable(guest.reason()), qPrintable(guest.lines().join('\n')));
    return false;
}

bool HostFailuresTest::finishes(GuestMachine& guest)
{
    bool const done
        = guest.waitForWholeLine("DONE ", 60s) && guest.lines().filter(QRegularExpression("^FAIL ")).isEmpty();
    if (!done)
        qWarning("%s\n%s", qPrintable(guest.reason()), qPrintable(guest.lines().join('\n')));
    return done;
}

void HostFailuresTest::fileSizeLimit()
{
    QFETCH(DiskBus, bus);
    QFETCH(ImageFormat, format);
    auto const guest = diskGuest(bus, format);
    {
        Limit const limit(RLIMIT_FSIZE, format == ImageFormat::Raw ? 48 << 10 : 320 << 10);
        REQUIRE_OK(guest->start());
        QVERIFY(paused(*guest, "disk0: "));
        // The cause is still there: the same again.
        REQUIRE_OK(guest->machine().call(command::Resume {}));
        QVERIFY(paused(*guest, "disk0: "));
    }
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(finishes(*guest));
}

void HostFailuresTest::formatsAndSticks()
{
    formats();
    QTest::newRow("usb, raw") << DiskBus::Usb << ImageFormat::Raw;
    QTest::newRow("usb, qcow2") << DiskBus::Usb << ImageFormat::Qcow2;
}

void HostFailuresTest::fullFileSystem()
{
    QFETCH(DiskBus, bus);
    QFETCH(ImageFormat, format);
    QTemporaryDir folder;
    tests::SmallFileSystem small(folder.filePath("small"), "size=256k");
    if (!small.whyNot().isEmpty())
        QSKIP(qPrintable(small.whyNot()));
    auto const guest = diskGuest(bus, format, folder.filePath("small"));
    {
        QFile filler(folder.filePath("small/filler"));
        QVERIFY(filler.open(QIODevice::WriteOnly | QIODevice::Unbuffered));
        QByteArray const page(4096, 'x');
        while (filler.write(page) == page.size()) { }
    }
    REQUIRE_OK(guest->start());
    QVERIFY(paused(*guest, "No space left on device"));
    // A machine that waits for room can still be suspended, elsewhere, and its request goes with it.
    if (format == ImageFormat::Raw)
        REQUIRE_OK(guest->suspendAndRestore(GuestMachine::Then::StayPaused));
    QVERIFY(small.grow("size=16m"));
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(finishes(*guest));
}

bool HostFailuresTest::demoAnswers(GuestMachine& guest)
{
    bool const answered = guest.ask("count", "Memory and disk agree. Boot 1,");
    if (!answered)
        qWarning("%s\n%s", qPrintable(guest.reason()), qPrintable(guest.lines().join('\n')));
    return answered;
}

void HostFailuresTest::shortenedImage_data()
{
    QTest::addColumn<ImageFormat>("format");
    QTest::newRow("raw") << ImageFormat::Raw;
    QTest::newRow("qcow2") << ImageFormat::Qcow2;
}

void HostFailuresTest::shortenedImage()
{
    QFETCH(ImageFormat, format);
    auto const guest = std::make_unique<GuestMachine>("share/chronovisor/demo.elf");
    auto const path = guest->folder() + "/disk.img";
    REQUIRE_OK(createImage(path.toStdString(), { .format = format, .size = 1 << 20 }));
    guest->config.disks.push_back({ "disk0", path.toStdString(), std::nullopt, DiskBus::Virtio, false, 1 });
    REQUIRE_OK(guest->start());
    QVERIFY(guest->waitForLine("Chronovisor demo machine, boot 1.", 20s));
    QVERIFY(demoAnswers(*guest));
    REQUIRE_OK(guest->machine().call(command::Pause {}));
    QFile image(path);
    QVERIFY(image.open(QIODevice::ReadWrite));
    auto const contents = image.readAll();
    QVERIFY(image.resize(0));
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(paused(*guest, "somebody has made the file shorter"));
    QVERIFY(image.seek(0));
    QCOMPARE(image.write(contents), contents.size());
    QVERIFY(image.flush());
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(demoAnswers(*guest));
}

std::pair<std::unique_ptr<GuestMachine>, QString> HostFailuresTest::guestOverAFile()
{
    auto guest = std::make_unique<GuestMachine>("guests/block.elf", "disks=1");
    auto const base = guest->makeFile("base.img", 1 << 20);
    auto const path = guest->folder().toStdString() + "/disk.qcow2";
    tests::must(createImage(path, { .backingFile = base.toStdString(), .backingFormat = ImageFormat::Raw }));
    guest->config.disks.push_back({ "disk0", path, DiskFormat::Qcow2, DiskBus::Virtio, false, 1 });
    return { std::move(guest), base };
}

void HostFailuresTest::shortenedBacking()
{
    auto const [guest, base] = guestOverAFile();
    REQUIRE_OK(guest->create());
    QVERIFY(QFile::resize(base, 0));
    REQUIRE_OK(guest->machine().call(command::Start {}));
    QVERIFY(paused(*guest, "disk0: reading " + base + ": somebody has made the file shorter"));
    // The cause is still there: the same again.
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(paused(*guest, base));
    QVERIFY(QFile::resize(base, 1 << 20));
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(finishes(*guest));
}

void HostFailuresTest::deletedBacking()
{
    auto const [guest, base] = guestOverAFile();
    guest->imagesAreJudged = false; // without its file none can be
    REQUIRE_OK(guest->create());
    QVERIFY(QFile::remove(base));
    REQUIRE_OK(guest->machine().call(command::Start {}));
    QVERIFY(paused(*guest, "disk0: reading " + base + ": the file was deleted"));
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(finishes(*guest));
}

void HostFailuresTest::deletedImage()
{
    QFETCH(DiskBus, bus);
    QFETCH(ImageFormat, format);
    auto const guest = diskGuest(bus, format);
    REQUIRE_OK(guest->create());
    QVERIFY(QFile::remove(QString::fromStdString(guest->config.disks[0].path)));
    REQUIRE_OK(guest->machine().call(command::Start {}));
    // It is noticed at the guest's next flush; every system does that each few seconds.
    QVERIFY(paused(*guest, "the file was deleted"));
    // Without its file it cannot be suspended, and says so; but it can go on for as long as it is on.
    auto const suspended = guest->machine().call(command::Suspend { (guest->folder() + "/state").toStdString(), true });
    QVERIFY(!suspended);
    QCOMPARE(suspended.error().code, ErrorCode::NotFound);
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(finishes(*guest));
}

std::pair<std::unique_ptr<GuestMachine>, QString> HostFailuresTest::guestWithADisc()
{
    auto guest = std::make_unique<GuestMachine>("guests/ahci.elf", "disks=0 drives=1 disc=1");
    auto const disc = guest->makeFile("disc.iso", 64 * 2048);
    QFile file(disc);
    if (!file.open(QIODevice::ReadWrite) || file.write(tests::iso("disc")) < 0)
        qFatal("no disc");
    guest->config.cds = { { "cd0", disc.toStdString() } };
    return { std::move(guest), disc };
}

void HostFailuresTest::shortenedDisc()
{
    auto const [guest, disc] = guestWithADisc();
    REQUIRE_OK(guest->create());
    QVERIFY(QFile::resize(disc, 2048));
    REQUIRE_OK(guest->machine().call(command::Start {}));
    QVERIFY(paused(*guest, "cd0: reading " + disc + ": somebody has made the file shorter"));
    // The cause is still there: the same again.
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(paused(*guest, "cd0: reading " + disc));
    QFile file(disc);
    QVERIFY(file.open(QIODevice::ReadWrite) && file.write(tests::iso("disc")) > 0);
    file.close();
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(finishes(*guest));
}

/// What the drive has open can be read for as long as it has it.
void HostFailuresTest::deletedDisc()
{
    auto const [guest, disc] = guestWithADisc();
    REQUIRE_OK(guest->create());
    QVERIFY(QFile::remove(disc));
    REQUIRE_OK(guest->machine().call(command::Start {}));
    QVERIFY(finishes(*guest));
    QVERIFY(guest->lines().contains("NOTE disc: 64 blocks"));
}

void HostFailuresTest::memoryDenied()
{
    auto const guest = std::make_unique<GuestMachine>("share/chronovisor/demo.elf");
    guest->config.memoryMiB = 131;
    REQUIRE_OK(guest->start());
    QVERIFY(guest->waitForLine("Chronovisor demo machine", 20s));
    guest->type("serial0", "mem fill 64\r");
    QVERIFY(guest->waitForLine("64 MiB filled", 20s));
    auto* const memory = findMemory(131 << 20);
    QVERIFY(memory);
    // The guest's own code and the rings are below, what it has filled is above.
    constexpr std::size_t from = 32 << 20, length = 16 << 20;
    QCOMPARE(::mprotect(memory + from, length, PROT_NONE), 0);
    guest->type("serial0", "mem check\r");
    QVERIFY(paused(*guest, "the host did not give a page of the guest's memory"));
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY(paused(*guest, "the host did not give a page of the guest's memory"));
    QCOMPARE(::mprotect(memory + from, length, PROT_READ | PROT_WRITE), 0);
    REQUIRE_OK(guest->machine().call(command::Resume {}));
    QVERIFY2(guest->waitForLine("64 MiB read, 0 of", 20s), qPrintable(guest->lines().join('\n')));
}

/// A page that broke in the host's hardware is SIGBUS for who touches it, as one of a file that is cut off is. Here
/// that is the screen, and neither this process nor another machine ends with it.
void HostFailuresTest::brokenMemory()
{
    GuestMachine guest("share/chronovisor/demo.elf"), other("share/chronovisor/demo.elf");
    guest.config.displays = { { "display0", 64 } };
    REQUIRE_OK(guest.start());
    REQUIRE_OK(other.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    QVERIFY(other.waitForLine("Chronovisor demo machine", 20s));
    auto* const memory = findMemory(64 << 20);
    QVERIFY(memory);
    UniqueFd const nothing(::memfd_create("nothing", MFD_CLOEXEC));
    QVERIFY(::mmap(memory, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, nothing.get(), 0) == memory);
    Frame frame;
    guest.machine().screen("display0")->refresh(frame);
    QVERIFY(guest.waitForState(RunState::Crashed, 20s));
    QVERIFY2(guest.reason().contains("the host has lost a page of the guest's memory"), qPrintable(guest.reason()));
    QVERIFY(!guest.machine().call(command::Resume {}));
    guest.clearLines();
    REQUIRE_OK(guest.machine().call(command::Reset {}));
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    guest.machine().screen("display0")->refresh(frame);
    QCOMPARE(guest.machine().state(), RunState::Running);
    other.type("serial0", "mem fill 1\r");
    QVERIFY(other.waitForLine("1 MiB filled", 20s));
}

/// One that broke while the machine was off is none of the next start's.
void HostFailuresTest::brokenMemoryOfAMachineThatIsOff()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.config.displays = { { "display0", 64 } };
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    auto* const memory = findMemory(64 << 20);
    QVERIFY(memory);
    REQUIRE_OK(guest.machine().call(command::PowerOff {}));
    UniqueFd const nothing(::memfd_create("nothing", MFD_CLOEXEC));
    QVERIFY(::mmap(memory, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, nothing.get(), 0) == memory);
    QCOMPARE(int(*static_cast<std::uint8_t volatile*>(memory)), 0);
    guest.clearLines();
    REQUIRE_OK(guest.machine().call(command::Start {}));
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(guest.reason()));
    REQUIRE_OK(guest.machine().call(command::Pause {}));
    REQUIRE_OK(guest.machine().call(command::Resume {}));
}

void HostFailuresTest::memoryRefusedAtStart()
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    QSKIP("a sanitizer's own memory is beyond any limit of the address space");
#endif
    auto const guest = std::make_unique<GuestMachine>("share/chronovisor/demo.elf");
    guest->config.memoryMiB = 64 << 10;
    {
        Limit const limit(RLIMIT_AS, 32ull << 30);
        auto const started = guest->start();
        QVERIFY(!started);
        QCOMPARE(started.error().code, ErrorCode::OutOfMemory);
        QVERIFY2(started.error().detail.find("65536 MiB") != std::string::npos, started.error().detail.c_str());
    }
    guest->config.memoryMiB = 64;
    REQUIRE_OK(guest->start());
}

REGISTER_SUITE(HostFailuresTest);
#include "host_failures_test.moc"
