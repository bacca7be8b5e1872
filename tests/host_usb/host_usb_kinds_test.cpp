#include "tests/host_usb/plugged_host_usb.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/vmm/usb/xhci_driver.h"
#include "vmm/base/log.h"

#include <fmt/format.h>
#include <libusb.h>
#include <list>
#include <map>

using namespace vmm;
using tests::Asked;
using tests::counting;
using tests::SimulatedUsbDevice;
using tests::XhciDriver;
using Kind = UsbTransfer::Kind;
using Plugged = tests::PluggedHostUsb;

namespace {

/// Memory that the kernel gives for requests. The real libusb maps the device's node for it, which is a pipe here and
/// gives none.
struct KernelMemory {
    /// Whether it gives any; one of them at a time.
    explicit KernelMemory(bool gives) : mayGive(gives) { present = this; }
    ~KernelMemory() { present = nullptr; }
    KernelMemory(KernelMemory const&) = delete;
    KernelMemory& operator=(KernelMemory const&) = delete;

    unsigned char* give(std::size_t size)
    {
        std::lock_guard const lock(mutex);
        ++asked;
        if (!mayGive)
            return nullptr;
        auto memory = std::make_unique<unsigned char[]>(size);
        auto* const begin = memory.get();
        given[begin] = { std::move(memory), size };
        return begin;
    }
    void take(unsigned char* begin, std::size_t size)
    {
        std::lock_guard const lock(mutex);
        auto const found = given.find(begin);
        if (found == given.end() || found->second.second != size)
            qFatal("memory that was not given");
        given.erase(found);
    }
    bool has(void const* buffer)
    {
        std::lock_guard const lock(mutex);
        return std::ranges::any_of(
            given, [&](auto const& one) { return buffer >= one.first && buffer < one.first + one.second.second; });
    }

    static inline std::atomic<KernelMemory*> present = nullptr;
    std::mutex mutex;
    std::atomic<bool> mayGive;
    int asked = 0;
    std::map<unsigned char*, std::pair<std::unique_ptr<unsigned char[]>, std::size_t>> given;
};

struct Interface {
    std::uint8_t number = 0, setting = 0;
    Bytes endpoints {};
};
using Configuration = std::vector<Interface>;

struct DeviceKind {
    std::uint8_t deviceClass = 0, serialNumber = 3; // 0: it has none
};

/// Of a device with these configurations (USB 2.0, 9.6 "Standard USB Descriptor Definitions").
Bytes descriptorsOf(std::vector<Configuration> const& configurations, DeviceKind kind = {})
{
    auto all = SimulatedUsbDevice::usualDescriptors();
    all.resize(18);
    all[4] = kind.deviceClass;
    all[16] = kind.serialNumber;
    all[17] = static_cast<std::uint8_t>(configurations.size());
    for (std::uint8_t value = 1; auto const& configuration : configurations) {
        Bytes body;
        std::set<unsigned> numbers;
        for (auto const& [number, setting, endpoints] : configuration) {
            auto count = std::uint8_t(0);
            for (std::size_t at = 0; at < endpoints.size(); at += endpoints[at])
                count += endpoints[at + 1] == 5 ? 1 : 0;
            body.insert(body.end(), { 9, 4, number, setting, count, 0xff, 0, 0, 0 });
            body.insert(body.end(), endpoints.begin(), endpoints.end());
            numbers.insert(number);
        }
        auto const total = static_cast<std::uint8_t>(9 + body.size());
        all.insert(all.end(), { 9, 2, total, 0, std::uint8_t(numbers.size()), value++, 0, 0x80, 50 });
        all.insert(all.end(), body.begin(), body.end());
    }
    return all;
}

Bytes bulk(std::uint8_t address)
{
    return { 7, 5, address, 2, 0, 2, 0 };
}

/// With its companion (USB 3.0, 9.6.7 "SuperSpeed Endpoint Companion"): 16 streams.
Bytes bulkWithStreams(std::uint8_t address)
{
    return { 7, 5, address, 2, 0, 4, 0, 6, 0x30, 0, 4, 0, 0 };
}

/// What was asked of the host's kernel for streams; there are resets too.
QString streamCalls(SimulatedUsbDevice const& device)
{
    auto calls = device.calls();
    std::erase_if(calls, [](std::string const& call) { return call.find("streams") == std::string::npos; });
    return QString::fromStdString(fmt::format("{}", fmt::join(calls, ", ")));
}

Bytes joined(Bytes one, Bytes const& other)
{
    one.insert(one.end(), other.begin(), other.end());
    return one;
}

std::vector<std::string> portsOf(HostUsb const& usb)
{
    std::vector<std::string> ports;
    for (auto const& info : usb.devices())
        ports.push_back(info.port);
    return ports;
}

/// What the kernel was asked for since `from`.
std::string callsOf(SimulatedUsbDevice const& device, std::size_t from = 0)
{
    auto const calls = device.calls();
    return fmt::format("{}", fmt::join(calls.begin() + static_cast<std::ptrdiff_t>(from), calls.end(), ", "));
}

Asked setConfiguration(std::uint8_t value)
{
    return { Kind::Control, 0, {}, { 0, 9, value, 0, 0, 0, 0, 0 } };
}

Asked setInterface(std::uint8_t number, std::uint8_t setting)
{
    return { Kind::Control, 0, {}, { 1, 11, setting, 0, number, 0, 0, 0 } };
}

}

extern "C" unsigned char* libusb_dev_mem_alloc(libusb_device_handle*, std::size_t size)
{
    auto* const memory = KernelMemory::present.load();
    return memory ? memory->give(size) : nullptr;
}

extern "C" int libusb_dev_mem_free(libusb_device_handle*, unsigned char* buffer, std::size_t size)
{
    KernelMemory::present.load()->take(buffer, size);
    return LIBUSB_SUCCESS;
}

/// Devices of each speed and shape: the real libusb, with devices that umockdev simulates.
class HostUsbKindsTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-wrapper is not around this program");
    }

    void theGuestsPortHasTheDevicesSpeed_data()
    {
        QTest::addColumn<QString>("told"); // by the host's kernel, Mbit/s
        QTest::addColumn<UsbSpeed>("speed");
        QTest::addColumn<unsigned>("id"); // xHCI 1.2, 7.2.1, of the default speeds
        QTest::newRow("low") << "1.5" << UsbSpeed::Low << 2u;
        QTest::newRow("full") << "12" << UsbSpeed::Full << 1u;
        QTest::newRow("high") << "480" << UsbSpeed::High << 3u;
        QTest::newRow("super") << "5000" << UsbSpeed::Super << 4u;
        QTest::newRow("super plus") << "10000" << UsbSpeed::Super << 4u;
    }
    void theGuestsPortHasTheDevicesSpeed()
    {
        QFETCH(QString, told);
        QFETCH(UsbSpeed, speed);
        QFETCH(unsigned, id);
        SimulatedUsbDevice const simulated("1-1", 2, SimulatedUsbDevice::usualDescriptors(), qPrintable(told));
        auto const usb = tests::must(HostUsb::open());
        QCOMPARE(usb->devices().front().speed, speed);
        auto const device = tests::must(HostUsbDevice::open(usb, usb->devices().front(), [] {}));
        XhciDriver d;
        d.start();
        REQUIRE_OK(d.controller.plug(0, *device));
        auto const usb3 = 1 + d.controller.connectors();
        constexpr unsigned usb2 = 1, connected = 1;
        auto const port = id == 4 ? usb3 : usb2, other = id == 4 ? usb2 : usb3;
        QVERIFY((d.portStatus(port) & connected) != 0);
        QVERIFY((d.portStatus(other) & connected) == 0);
        auto control = d.address(port, id);
        QCOMPARE(d.lastCode, unsigned(tests::usb::Success));
        QCOMPARE(d.portStatus(port) >> 10 & 0xf, id);
        d.dropEvents();
        d.request(control, tests::usb::getDescriptor, 0xf000, 18);
        QTRY_VERIFY(d.hasEvent());
        QCOMPARE(d.event().code(), unsigned(tests::usb::Success));
        auto const& whole = SimulatedUsbDevice::usualDescriptors();
        QCOMPARE(d.bytes(0xf000, 18), Bytes(whole.begin(), whole.begin() + 18));
        d.controller.unplug(0);
    }

    void eachInterfaceIsTakenAndGivenBack()
    {
        SimulatedUsbDevice device(
            "1-1", 2, descriptorsOf({ { { 0 }, { 1, 0 }, { 1, 1, bulk(0x81) }, { 2, 0, bulk(0x02) }, { 5 } } }));
        device.losesDriver(2);
        {
            Plugged plugged;
            QCOMPARE(device.drivers(), std::set<unsigned>());
            QCOMPARE(
                callsOf(device), "detach 0, claim 0, detach 1, claim 1, set-interface 1 0, claim 2, detach 5, claim 5");
            auto const before = device.calls().size();
            auto setting = setInterface(1, 1);
            Asked out(Kind::Bulk, 0x02, counting(700)), in(Kind::Bulk, 0x81, Bytes(700));
            for (auto* const asked : { &setting, &out, &in })
                QVERIFY(plugged.run(*asked));
            QCOMPARE(in.got(), counting(700));
            QCOMPARE(callsOf(device, before), "set-interface 1 1");
        }
        QVERIFY(callsOf(device).ends_with(
            "release 0, release 1, release 2, release 5, reset, attach 0, attach 1, attach 5"));
        QCOMPARE(device.drivers(), (std::set<unsigned> { 0, 1, 5 })); // those that had one
    }

    void anotherConfigurationIsTakenWhole()
    {
        SimulatedUsbDevice const device("1-1", 2, descriptorsOf({ { { 0 } }, { { 0 }, { 3, 0, bulk(0x81) } } }));
        {
            Plugged plugged;
            QCOMPARE(device.drivers(), std::set<unsigned>());
            auto before = device.calls().size();
            auto second = setConfiguration(2), again = setConfiguration(2);
            QVERIFY(plugged.run(second));
            QCOMPARE(callsOf(device, before), "release 0, set-configuration 2, detach 0, claim 0, detach 3, claim 3");
            QCOMPARE(device.drivers(), std::set<unsigned>());
            before = device.calls().size();
            QVERIFY(plugged.run(again)); // settings begin anew, and nobody sees it but the device
            QCOMPARE(callsOf(device, before), "");
        }
        QCOMPARE(device.drivers(), std::set<unsigned> { 0 }); // of the first one, as the host had it
        auto const calls = device.calls();
        QVERIFY(std::ranges::find(calls, "set-configuration 1") != calls.end());
    }

    void behindHubs()
    {
        auto const hubKind = descriptorsOf({ { { 0 } } }, { .deviceClass = 9 });
        SimulatedUsbDevice const hub("1-1", 2, hubKind), farHub("1-1.4", 3, hubKind);
        SimulatedUsbDevice const stays("1-1.4.3", 4);
        auto const usb = tests::must(HostUsb::open());
        std::atomic<int> changes = 0;
        auto const listener = usb->listen([&] { ++changes; });
        QCOMPARE(portsOf(*usb), std::vector<std::string> { "1-1.4.3" }); // and no hub
        Plugged near("1-1.4.3");
        {
            SimulatedUsbDevice comes("1-1.2", 5);
            QTRY_COMPARE(changes.load(), 1);
            QCOMPARE(portsOf(*usb), (std::vector<std::string> { "1-1.2", "1-1.4.3" }));
            Plugged plugged("1-1.2");
            Asked waiting(Kind::Bulk, 0x81, Bytes(9));
            plugged.submit(waiting);
            QTRY_COMPARE(comes.waiting(), 1u);
            comes.unplug();
            QVERIFY(plugged.ends(waiting));
            QCOMPARE(waiting.transfer.status, UsbStatus::TransactionError);
            QTRY_COMPARE(plugged.gone.load(), 1);
        }
        QCOMPARE(portsOf(*usb), std::vector<std::string> { "1-1.4.3" });
        Asked out(Kind::Bulk, 0x02, counting(9)), in(Kind::Bulk, 0x81, Bytes(9));
        QVERIFY(near.run(out) && near.run(in));
        QCOMPARE(in.got(), counting(9));
        QCOMPARE(near.gone.load(), 0);
    }

    /// Two of a kind, without serial numbers, behind one hub: each is what is plugged in where it is.
    void twoAlikeAreToldApart()
    {
        auto const alike = descriptorsOf({ { { 0, 0, joined(bulk(0x02), bulk(0x81)) } } }, { .serialNumber = 0 });
        SimulatedUsbDevice const hub("1-1", 2, descriptorsOf({ { { 0 } } }, { .deviceClass = 9 }));
        SimulatedUsbDevice const second("1-1.2", 4, alike);
        auto first = std::make_unique<SimulatedUsbDevice>("1-1.1", 3, alike);
        Plugged one("1-1.1"), other("1-1.2");
        auto const trace = HostUsbTrace::of(one.device->info());
        QVERIFY(trace.serial.empty() && trace.fits(one.device->info()) && !trace.fits(other.device->info()));
        Asked toOne(Kind::Bulk, 0x02, Bytes(4, 1)), toOther(Kind::Bulk, 0x02, Bytes(4, 2)),
            fromOther(Kind::Bulk, 0x81, Bytes(4)), fromOne(Kind::Bulk, 0x81, Bytes(4));
        QVERIFY(one.run(toOne) && other.run(toOther) && other.run(fromOther) && one.run(fromOne));
        QCOMPARE(fromOne.got(), Bytes(4, 1));
        QCOMPARE(fromOther.got(), Bytes(4, 2));
        first.reset();
        QTRY_COMPARE(one.gone.load(), 1);
        QCOMPARE(other.gone.load(), 0);
        SimulatedUsbDevice const again("1-1.1", 5, alike);
        QTRY_COMPARE(one.usb->devices().size(), 2u);
        for (auto const& info : one.usb->devices())
            QCOMPARE(trace.fits(info), info.address == 5);
    }

    /// As a guest's driver of UAS has them: its controller's streams are the device's.
    void streamsAreTheDevices()
    {
        SimulatedUsbDevice const simulated("1-1", 2,
            descriptorsOf({ { { 0, 0, joined(bulkWithStreams(0x81), joined(bulkWithStreams(0x02), bulk(0x06))) } } }),
            "5000");
        auto const usb = tests::must(HostUsb::open());
        auto const device = tests::must(HostUsbDevice::open(usb, usb->devices().front(), [] {}));
        XhciDriver d;
        d.start();
        REQUIRE_OK(d.controller.plug(0, *device));
        d.address(1 + d.controller.connectors(), 4);
        d.addEndpoint(1, 12, tests::usb::BulkOut, 0, 2); // 06 has none
        QVERIFY(d.lastCode != unsigned(tests::usb::Success));
        auto out = d.addEndpoint(1, 4, tests::usb::BulkOut);
        d.addEndpoint(1, 3, tests::usb::BulkIn, 0, 2);
        QCOMPARE(d.lastCode, unsigned(tests::usb::Success));
        auto third = d.makeRing(1, 3, 3);
        d.store<std::uint64_t>(d.streamArray + 48, third.base | 2 | 1);
        d.dropEvents();
        std::fill_n(d.ram(0xf000), 0x300, std::uint8_t(0x5a));
        d.put(out, XhciDriver::Normal, 0xf000, 0x300, XhciDriver::Ioc);
        d.kick(out);
        QTRY_VERIFY(d.hasEvent());
        QCOMPARE(d.event().code(), unsigned(tests::usb::Success));
        d.put(third, XhciDriver::Normal, 0xf800, 0x300, XhciDriver::Ioc);
        d.kick(third);
        QTRY_VERIFY(d.hasEvent());
        QCOMPARE(d.event().code(), unsigned(tests::usb::Success));
        QCOMPARE(d.bytes(0xf800, 0x300), Bytes(0x300, 0x5a));
        QCOMPARE(streamCalls(simulated), QString("alloc-streams 7 81"));
        QCOMPARE(simulated.bulkStreams(), (std::vector { 0u, 3u }));
        d.command(XhciDriver::DisableSlot, 0, XhciDriver::slotBits(1));
        QTRY_COMPARE(streamCalls(simulated), QString("alloc-streams 7 81, free-streams 0 81"));
        d.controller.unplug(0);
    }

    /// The kernel frees them when the device is reset and with each setting of the interface; and a guest that has gone
    /// back asks for as many as it had.
    void streamsAreMadeAnew()
    {
        SimulatedUsbDevice const simulated(
            "1-1", 2, descriptorsOf({ { { 0, 0, joined(bulkWithStreams(0x81), bulk(0x06)) } } }), "5000");
        Plugged plugged;
        auto const stream = [&] {
            std::lock_guard const lock(plugged.host.usbMutex());
            QVERIFY(plugged.device->setStreams(0x81, 7));
        };
        stream();
        QString all = "alloc-streams 7 81";
        QTRY_COMPARE(streamCalls(simulated), all);
        Asked setting(Kind::Control, 0x00, {}, { 0x01, 11, 0, 0, 0, 0, 0, 0 }); // SET_INTERFACE
        QVERIFY(plugged.run(setting));
        all += ", alloc-streams 7 81";
        QCOMPARE(streamCalls(simulated), all);
        plugged.reset();
        stream();
        all += ", alloc-streams 7 81";
        QTRY_COMPARE(streamCalls(simulated), all);
        plugged.device->setHost(nullptr);
        plugged.device->setHost(&plugged.host);
        plugged.reset();
        stream();
        all += ", alloc-streams 7 81";
        QTRY_COMPARE(streamCalls(simulated), all);
    }

    /// As a controller does that is told of another number while the thread which asks the host is busy.
    void otherStreamsComeWhenTheFirstHaveGone()
    {
        SimulatedUsbDevice const simulated(
            "1-1", 2, descriptorsOf({ { { 0, 0, joined(bulkWithStreams(0x81), bulk(0x06)) } } }), "5000");
        Plugged plugged;
        auto const wish = [&](unsigned count) {
            std::lock_guard const lock(plugged.host.usbMutex());
            QVERIFY(plugged.device->setStreams(0x81, count));
        };
        wish(3);
        QTRY_COMPARE(streamCalls(simulated), QString("alloc-streams 3 81"));
        wish(7);
        QTRY_COMPARE(streamCalls(simulated), QString("alloc-streams 3 81, free-streams 0 81, alloc-streams 7 81"));
        wish(0);
        QTRY_COMPARE(streamCalls(simulated),
            QString("alloc-streams 3 81, free-streams 0 81, alloc-streams 7 81, free-streams 0 81"));
    }

    /// However often the guest asks for them.
    void refusedStreamsAreOneLineOfTheLog()
    {
        static std::atomic<int> lines;
        lines = 0;
        auto const asBefore = qScopeGuard([] { setLogSink(nullptr); });
        setLogSink([](LogLevel, std::string_view, std::string_view text) { lines += text.starts_with("streams of "); });
        SimulatedUsbDevice simulated(
            "1-1", 2, descriptorsOf({ { { 0, 0, joined(bulkWithStreams(0x81), bulk(0x06)) } } }), "5000");
        simulated.refuseStreams();
        Plugged plugged;
        std::list<Asked> questions; // which the device keeps until the end
        for (int asked = 1; asked <= 3; ++asked) {
            for (unsigned const count : { 7u, 0u }) {
                {
                    std::lock_guard const lock(plugged.host.usbMutex());
                    QVERIFY(plugged.device->setStreams(0x81, count));
                }
                // It waits for them.
                auto& after = questions.emplace_back(
                    Kind::Control, 0x80, Bytes(18), std::array<std::uint8_t, 8> { 0x80, 6, 0, 1, 0, 0, 18, 0 });
                QVERIFY(plugged.run(after));
            }
        }
        QCOMPARE(streamCalls(simulated), QString("alloc-streams 7 81, alloc-streams 7 81, alloc-streams 7 81"));
        QCOMPARE(lines.load(), 1);
    }

    void resetsThatWaitAreOne()
    {
        SimulatedUsbDevice const simulated(
            "1-1", 2, descriptorsOf({ { { 0, 0, joined(bulkWithStreams(0x81), bulk(0x06)) } } }), "5000");
        Plugged plugged;
        {
            std::lock_guard const lock(plugged.host.usbMutex()); // without which none but the first ends
            for (int i = 0; i < 100; ++i) {
                QVERIFY(plugged.device->setStreams(0x81, 7));
                plugged.device->busReset();
            }
        }
        Asked after(Kind::Control, 0x80, Bytes(18), { 0x80, 6, 0, 1, 0, 0, 18, 0 }); // it waits for all of them
        QVERIFY(plugged.run(after));
        auto const calls = simulated.calls();
        QVERIFY(std::count(calls.begin(), calls.end(), "reset") <= 2);
    }

    void memoryOfTheKernelIsUsedWhereThereIsSome()
    {
        KernelMemory memory(true);
        {
            SimulatedUsbDevice const device("1-1", 2);
            Plugged plugged;
            Asked out(Kind::Bulk, 0x02, counting(100'000)), in(Kind::Bulk, 0x81, Bytes(100'000));
            QVERIFY(plugged.run(out) && plugged.run(in));
            QCOMPARE(in.got(), counting(100'000));
            QCOMPARE(device.bulkMemory().size(), 2u);
            for (auto const* const buffer : device.bulkMemory())
                QVERIFY(memory.has(buffer));
        }
        QVERIFY(memory.given.empty()); // before the device is closed
    }

    void withoutMemoryOfTheKernelItGoesByOurs()
    {
        KernelMemory memory(false);
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        Asked out(Kind::Bulk, 0x02, counting(100'000)), in(Kind::Bulk, 0x81, Bytes(100'000));
        QVERIFY(plugged.run(out) && plugged.run(in));
        QCOMPARE(in.got(), counting(100'000));
        QVERIFY(memory.asked > 0 && memory.given.empty());
    }

    /// All machines and programs of a host share a little of it.
    void whenMemoryOfTheKernelRunsOutWhatThereIsStaysInUse()
    {
        KernelMemory memory(true);
        {
            SimulatedUsbDevice const device("1-1", 2);
            Plugged plugged;
            Asked small(Kind::Bulk, 0x02, counting(8)), waiting(Kind::Bulk, 0x83, Bytes(8)),
                large(Kind::Bulk, 0x02, counting(100'000)), in(Kind::Bulk, 0x81, Bytes(100'008));
            plugged.submit(waiting); // and keeps what it has
            QVERIFY(plugged.run(small));
            memory.mayGive = false;
            QVERIFY(plugged.run(large) && plugged.run(in));
            QCOMPARE(in.got(), joined(counting(8), counting(100'000)));
            auto const buffers = device.bulkMemory();
            QVERIFY(memory.has(buffers[0]) && !memory.has(buffers[2]) && !memory.has(buffers[3]));
            plugged.cancel(waiting);
            QVERIFY(plugged.ends(waiting));
        }
        QVERIFY(memory.given.empty());
    }
};

REGISTER_SUITE(HostUsbKindsTest);
#include "host_usb_kinds_test.moc"
