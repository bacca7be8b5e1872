#include "app/runner/machine_runner.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"
#include "vmm/base/log.h"
#include "vmm/base/random.h"

#include <QDir>
#include <QRegularExpression>
#include <QTemporaryDir>
#include <mutex>
#include <optional>
#include <sys/wait.h>
#include <utility>

using namespace app;
using tests::SimulatedUsbDevice;
using vmm::Bytes;
using Manner = SimulatedUsbDevice::Manner;

namespace {

/// What the log says of devices that were lost.
struct Lost {
    std::mutex mutex;
    std::string lines;
    static Lost& all()
    {
        static Lost one;
        return one;
    }
    static void hear(vmm::LogLevel, std::string_view, std::string_view text)
    {
        std::lock_guard const lock(all().mutex);
        if (text.find(" is lost: ") != std::string_view::npos)
            all().lines += text;
    }
    static std::string take()
    {
        std::lock_guard const lock(all().mutex);
        return std::exchange(all().lines, {});
    }
};

/// A machine on KVM with a guest that takes whatever is plugged into it, and counts (tests/guests/visitors.c).
struct Machine {
    QTemporaryDir directory;
    MachineRunner runner { config(), places(), kvmMachines() };

    static vmm::VmConfig config()
    {
        vmm::VmConfig made;
        made.uuid = vmm::makeUuid();
        made.name = "visited";
        made.memoryMiB = 64;
        made.firmware = vmm::Firmware::None;
        made.kernel = vmm::KernelConfig { CHRONOVISOR_BINARY "/guests/visitors.elf", {}, {} };
        made.serials = { { "serial0", false } };
        made.usbControllers = { { "usb0" } };
        return made;
    }
    MachinePlaces places() const
    {
        auto const in = [this](char const* name) { return directory.filePath(name).toStdString(); };
        return { .stateDirectory = in("state"),
            .lockFile = in("machine.lock"),
            .timelineFolder = in("timeline"),
            .libraryRoot = in("library") };
    }

    QString said() const
    {
        Bytes bytes;
        std::uint64_t run = 0;
        runner.console("serial0")->readFrom(0, bytes, run);
        return QString::fromLatin1(reinterpret_cast<char const*>(bytes.data()), qsizetype(bytes.size()));
    }
    /// A whole line that the guest says behind what it had said by then; empty: it does not.
    QString says(QString const& pattern, qsizetype from) const
    {
        constexpr int limit = 30'000;
        QRegularExpressionMatch match;
        auto const line = QRegularExpression("^" + pattern + "\r?$", QRegularExpression::MultilineOption);
        tests::becomes(
            [&] {
                auto const all = said();
                match = line.match(all.left(all.lastIndexOf('\n') + 1), from);
                return match.hasMatch();
            },
            limit * tests::patience());
        return match.captured(0).trimmed();
    }
    bool counts() const
    {
        auto const from = said().size();
        return !says("COUNT \\d+", from).isEmpty() && !says("COUNT \\d+", said().size()).isEmpty();
    }
    vmm::Result<> attach(std::string const& port)
    {
        return tests::answerOf([&](auto done) { runner.attachHostUsb(port, Really::Yes, done); });
    }
    vmm::Result<> detach(std::string const& port)
    {
        return tests::answerOf([&](auto done) { runner.detachHostUsb(port, done); });
    }
    bool has() const { return !runner.attachedHostUsb().empty(); }
};

qsizetype count(char const* folder)
{
    return QDir(folder).entryList(QDir::NoDotAndDotDot | QDir::AllEntries | QDir::System).size();
}

/// The usual descriptors, but for these bytes.
Bytes but(std::initializer_list<std::pair<std::size_t, std::uint8_t>> changes)
{
    auto all = SimulatedUsbDevice::usualDescriptors();
    for (auto const& [at, value] : changes)
        all.at(at) = value;
    return all;
}

Bytes cutOffAt(std::ptrdiff_t size)
{
    auto const all = SimulatedUsbDevice::usualDescriptors();
    return { all.begin(), all.begin() + size };
}

}

/// Devices of the host's that lie, stall, babble, say nothing or vanish, in a machine whose guest runs: it goes on, the
/// machine has the device or has said why not, the next device is as good as ever, and nothing is left over.
class HostileUsbTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-preload is not in this program");
        qputenv("XDG_RUNTIME_DIR", m_runtime.path().toUtf8());
        vmm::setLogSink(&Lost::hear);
        auto const port = nextPort();
        SimulatedUsbDevice const first(port, m_address); // from now on this is the host whose devices are seen
        m_machine = std::make_unique<Machine>();
        auto const started = tests::answerOf([&](auto done) { m_machine->runner.start(done); });
        if (!started && started.error().code == vmm::ErrorCode::NoKvm)
            QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
        REQUIRE_OK(started);
        QVERIFY2(!m_machine->says("NOTE ready", 0).isEmpty(), qPrintable(m_machine->said()));
        aGoodDeviceIsTaken(); // what is made once is there now
        if (QTest::currentTestFailed())
            return;
        m_files = count("/proc/self/fd");
        m_threads = count("/proc/self/task");
    }
    void cleanupTestCase()
    {
        m_machine.reset();
        vmm::setLogSink(nullptr);
        qunsetenv("XDG_RUNTIME_DIR");
    }

    void whatItDoesWrong_data()
    {
        QTest::addColumn<Manner>("control");
        QTest::addColumn<Manner>("data");
        QTest::addColumn<QString>("told");
        auto const whole = [](char const* codes) { return QString("NOTE device \\d+: ") + codes; };
        QTest::newRow("stalls from the first word on")
            << Manner::Stalls << Manner::Stalls << "NOTE device \\d+ is refused";
        QTest::newRow("stalls its data for ever")
            << Manner::Good << Manner::Stalls << whole("out 6 in 6 interrupt 6 isochronous \\d+");
        QTest::newRow("babbles from the first word on")
            << Manner::Babbles << Manner::Babbles << "NOTE device \\d+ is refused";
        QTest::newRow("babbles its data")
            << Manner::Good << Manner::Babbles << whole("out 3 in 3 interrupt 3 isochronous 3");
        QTest::newRow("never answers") << Manner::Silent << Manner::Silent << "NOTE device \\d+ is refused";
        QTest::newRow("never sends") << Manner::Good << Manner::Silent << whole("out 0 in 0 interrupt 0 isochronous 0");
    }
    void whatItDoesWrong()
    {
        QFETCH(Manner, control);
        QFETCH(Manner, data);
        QFETCH(QString, told);
        {
            auto const port = nextPort();
            SimulatedUsbDevice hostile(port, m_address);
            hostile.behave(control, data);
            auto const from = m_machine->said().size();
            REQUIRE_OK(m_machine->attach(port));
            QVERIFY2(!m_machine->says(told, from).isEmpty(), qPrintable(m_machine->said().mid(from)));
            QVERIFY(m_machine->has()); // a driver may yet find a way with it
            REQUIRE_OK(m_machine->detach(port));
            QVERIFY2(!m_machine->says("NOTE device \\d+ is gone.*", from).isEmpty(),
                qPrintable(m_machine->said().mid(from)));
            QTRY_VERIFY(hostile.hasDriver());
            QCOMPARE(hostile.waiting(), std::size_t(0));
        }
        allIsWell();
    }

    /// In the middle of what it was asked, of each kind of endpoint.
    void itVanishes_data()
    {
        QTest::addColumn<Manner>("control");
        QTest::newRow("while it is asked what it is") << Manner::Silent;
        QTest::newRow("while data are under way") << Manner::Good;
    }
    void itVanishes()
    {
        QFETCH(Manner, control);
        {
            auto const port = nextPort();
            SimulatedUsbDevice hostile(port, m_address);
            hostile.behave(control, Manner::Silent);
            auto const from = m_machine->said().size();
            REQUIRE_OK(m_machine->attach(port));
            QTRY_VERIFY(hostile.waiting() > 0);
            bool const isOnItsWay
                = control == Manner::Silent || !m_machine->says("NOTE device \\d+: out 0 in 0 .*", from).isEmpty();
            QVERIFY2(isOnItsWay, qPrintable(m_machine->said().mid(from)));
            Lost::take();
            hostile.unplug();
            QTRY_VERIFY(!m_machine->has());
            QCOMPARE(Lost::take(), "1209:0001 at port " + port + " is lost: this host does not have it any more");
            QVERIFY2(!m_machine->says("NOTE device \\d+ is gone, with code [04]", from).isEmpty(),
                qPrintable(m_machine->said().mid(from)));
            QCOMPARE(hostile.waiting(), std::size_t(0));
        }
        allIsWell();
    }

    void itLies_data()
    {
        QTest::addColumn<Bytes>("descriptors");
        constexpr std::size_t configuration = 18, interface = 27, endpoint = 36, interrupt = 50, isochronous = 57;
        QTest::newRow("a device descriptor of no length") << but({ { 0, 0 } });
        QTest::newRow("a long device descriptor") << but({ { 0, 255 } });
        QTest::newRow("endpoint 0 without packets") << but({ { 7, 0 } });
        QTest::newRow("a configuration of no length") << but({ { configuration, 0 } });
        QTest::newRow("a total length of nothing") << but({ { configuration + 2, 0 } });
        QTest::newRow("a total length beyond all") << but({ { configuration + 2, 255 }, { configuration + 3, 255 } });
        QTest::newRow("no interfaces") << but({ { configuration + 4, 0 } });
        QTest::newRow("255 interfaces") << but({ { configuration + 4, 255 } });
        QTest::newRow("an interface of no length") << but({ { interface, 0 } });
        QTest::newRow("an interface over others") << but({ { interface, 200 } });
        QTest::newRow("interface 255") << but({ { interface + 2, 255 } });
        QTest::newRow("no endpoints, it says") << but({ { interface + 4, 0 } });
        QTest::newRow("255 endpoints, it says") << but({ { interface + 4, 255 } });
        QTest::newRow("an endpoint of no length") << but({ { endpoint, 0 } });
        QTest::newRow("an endpoint over others") << but({ { endpoint, 255 } });
        QTest::newRow("an endpoint 0") << but({ { endpoint + 2, 0 } });
        QTest::newRow("an endpoint twice") << but({ { endpoint + 2, 0x81 } });
        QTest::newRow("an endpoint of every kind") << but({ { endpoint + 3, 255 } });
        QTest::newRow("packets of nothing") << but({ { endpoint + 5, 0 }, { isochronous + 4, 0 } });
        QTest::newRow("packets beyond all") << but(
            { { endpoint + 4, 255 }, { endpoint + 5, 255 }, { isochronous + 4, 255 }, { isochronous + 5, 255 } });
        QTest::newRow("at no time") << but({ { interrupt + 6, 0 }, { isochronous + 6, 0 } });
        QTest::newRow("once in an age") << but({ { interrupt + 6, 255 }, { isochronous + 6, 255 } });
        QTest::newRow("cut off in an endpoint") << cutOffAt(std::ptrdiff_t(endpoint) + 3);
        QTest::newRow("cut off in the configuration") << cutOffAt(std::ptrdiff_t(configuration) + 2);
    }
    /// To the host too where that takes it, else to the guest alone.
    void itLies()
    {
        QFETCH(Bytes, descriptors);
        auto port = nextPort();
        std::optional<SimulatedUsbDevice> hostile(std::in_place, port, m_address, descriptors);
        auto const from = m_machine->said().size();
        if (auto const attached = m_machine->attach(port); !attached) {
            QVERIFY(!attached.error().detail.empty());
            QVERIFY(!m_machine->has());
            hostile.reset();
            port = nextPort();
            hostile.emplace(port, m_address);
            hostile->tellOther(descriptors);
            REQUIRE_OK(m_machine->attach(port));
        }
        hostile->interrupt(Bytes(8));
        QVERIFY2(!m_machine->says("NOTE device \\d+[: ].*", from).isEmpty(), qPrintable(m_machine->said().mid(from)));
        QVERIFY(m_machine->has());
        REQUIRE_OK(m_machine->detach(port));
        QVERIFY2(
            !m_machine->says("NOTE device \\d+ is gone.*", from).isEmpty(), qPrintable(m_machine->said().mid(from)));
        QCOMPARE(hostile->waiting(), std::size_t(0));
        hostile.reset();
        allIsWell();
    }

private:
    /// None comes back to where the one before it was, for the machine would take that by itself.
    std::string nextPort() { return "1-" + std::to_string(++m_address); }

    void aGoodDeviceIsTaken()
    {
        auto const port = nextPort();
        SimulatedUsbDevice good(port, m_address);
        good.interrupt(Bytes(8));
        auto const from = m_machine->said().size();
        REQUIRE_OK(m_machine->attach(port));
        QVERIFY2(!m_machine->says("NOTE device \\d+: out 1 in 1 interrupt 1 isochronous \\d+, an echo", from).isEmpty(),
            qPrintable(m_machine->said().mid(from)));
        REQUIRE_OK(m_machine->detach(port));
        QVERIFY2(
            !m_machine->says("NOTE device \\d+ is gone.*", from).isEmpty(), qPrintable(m_machine->said().mid(from)));
        QVERIFY(!m_machine->has());
        QTRY_VERIFY(good.hasDriver());
    }

    void allIsWell()
    {
        QVERIFY2(m_machine->counts(), qPrintable(m_machine->said()));
        aGoodDeviceIsTaken();
        QCOMPARE(m_machine->runner.state(), SessionState::Running);
        QTRY_VERIFY2(count("/proc/self/fd") <= m_files, qPrintable(QString::number(count("/proc/self/fd"))));
        QTRY_VERIFY(count("/proc/self/task") <= m_threads);
        QTRY_COMPARE(::waitpid(-1, nullptr, WNOHANG), -1); // no program that still waits for our end
    }

    QTemporaryDir m_runtime;
    std::unique_ptr<Machine> m_machine;
    unsigned m_address = 1;
    qsizetype m_files = 0, m_threads = 0;
};

REGISTER_SUITE(HostileUsbTest);
#include "hostile_usb_test.moc"
