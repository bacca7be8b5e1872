#include "tests/host_usb/plugged_host_usb.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/support/answer.h"
#include "tests/support/killed_process.h"
#include "tests/support/suite.h"
#include "tests/vmm/usb/xhci_driver.h"
#include "vmm/usb/host_usb_device.h"

#include <QDir>
#include <QTest>
#include <atomic>
#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <future>
#include <list>
#include <malloc.h>
#include <optional>
#include <sys/stat.h>

using namespace vmm;
using tests::Asked;
using tests::counting;
using Plugged = tests::PluggedHostUsb;
using tests::SimulatedUsbDevice;
using tests::XhciDriver;
using namespace std::chrono_literals;
using Kind = UsbTransfer::Kind;

namespace {

std::string joined(std::vector<std::string> const& calls)
{
    return fmt::format("{}", fmt::join(calls, ", "));
}

}

/// The real libusb, with devices that umockdev simulates.
class HostUsbTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-wrapper is not around this program");
    }

    void devicesAreListedWithTheirNames()
    {
        SimulatedUsbDevice const first("1-1", 2), second("1-2", 3);
        auto const devices = tests::must(HostUsb::open())->devices();
        QCOMPARE(devices.size(), 2u); // and no hub
        QCOMPARE(devices[0].port, "1-1");
        QCOMPARE(devices[0].node(), "/dev/bus/usb/001/002");
        QCOMPARE(devices[0].vendor, 0x1209);
        QCOMPARE(devices[0].manufacturer, "Example");
        QCOMPARE(devices[0].name, "Loop");
        QCOMPARE(devices[1].serial, "S3");
        QCOMPARE(devices[1].speed, UsbSpeed::High);
        QCOMPARE(devices[1].interfaceClasses, std::vector<std::uint8_t> { 0xff });
    }

    /// As the kernel keeps readers of these waiting while it resets the device.
    void whoLooksAgainAsksNoDevice()
    {
        SimulatedUsbDevice const first("1-1", 2);
        auto const usb = tests::must(HostUsb::open());
        auto const before = usb->devices();
        std::vector<std::string> silent;
        for (auto const* name : { "product", "serial", "manufacturer", "bConfigurationValue" })
            silent.push_back(fmt::format("{}/sys/bus/usb/devices/1-1/{}", qgetenv("UMOCKDEV_DIR").constData(), name));
        for (auto const& path : silent) {
            QCOMPARE(::unlink(path.c_str()), 0);
            QCOMPARE(::mkfifo(path.c_str(), 0600), 0);
        }
        auto looking = std::async(std::launch::async, [&] { return usb->devices(); });
        bool const comes = tests::comes(looking);
        while (looking.wait_for(1ms) != std::future_status::ready) {
            for (auto const& path : silent)
                ::close(::open(path.c_str(), O_RDWR | O_CLOEXEC));
        }
        QVERIFY(comes);
        QVERIFY(looking.get() == before);
    }

    /// The kernel tells of a device before it gives it a configuration.
    void whatHasNoConfigurationYetIsAskedAgain()
    {
        SimulatedUsbDevice const device("1-1", 2);
        auto const path
            = fmt::format("{}/sys/bus/usb/devices/1-1/bConfigurationValue", qgetenv("UMOCKDEV_DIR").constData());
        auto const usb = tests::must(HostUsb::open());
        std::ofstream(path).flush();
        QCOMPARE(usb->devices().at(0).interfaceClasses, std::vector<std::uint8_t> {});
        std::ofstream(path) << "1\n";
        QCOMPARE(usb->devices().at(0).interfaceClasses, std::vector<std::uint8_t> { 0xff });
    }

    /// As behind a controller that was gone for a moment: the addresses begin anew.
    void anotherOneThatLooksTheSameIsAsked()
    {
        constexpr std::size_t interfaceClass = 18 + 9 + 5;
        auto descriptors = SimulatedUsbDevice::usualDescriptors();
        auto const usb = tests::must(HostUsb::open());
        std::optional<SimulatedUsbDevice> device;
        device.emplace("1-1", 2, descriptors);
        QTRY_COMPARE(usb->devices().size(), 1u);
        device.reset();
        descriptors.at(interfaceClass) = 0x03;
        device.emplace("1-1", 2, descriptors);
        auto const classes = [&] {
            auto const devices = usb->devices();
            return devices.size() == 1 ? devices[0].interfaceClasses : std::vector<std::uint8_t> {};
        };
        QTRY_COMPARE(classes(), std::vector<std::uint8_t> { 0x03 });
    }

    void comingAndGoingIsHeard()
    {
        auto const usb = tests::must(HostUsb::open());
        std::atomic<int> changes = 0;
        auto const listener = usb->listen([&] { ++changes; });
        {
            SimulatedUsbDevice const device("1-1", 2);
            QTRY_COMPARE(changes.load(), 1);
            QCOMPARE(usb->devices().size(), 1u);
        }
        QTRY_COMPARE(changes.load(), 2);
        QVERIFY(usb->devices().empty());
    }

    void takenFromTheHostsDriverAndGivenBack()
    {
        SimulatedUsbDevice const device("1-1", 2);
        {
            Plugged const plugged;
            QVERIFY(!device.hasDriver());
        }
        QVERIFY(device.hasDriver());
        QCOMPARE(joined(device.calls()), "detach 0, claim 0, set-interface 0 0, release 0, reset, attach 0");
    }

    void whoHasNoRightToItIsToldWhatHelps()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        simulated.denyAccess();
        auto const usb = tests::must(HostUsb::open());
        auto const refused = HostUsbDevice::open(usb, usb->devices().front(), [] {});
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::PermissionDenied);
        auto const& told = refused.error().detail;
        QVERIFY2(told.starts_with("no right to use /dev/bus/usb/001/002"), told.c_str());
        QVERIFY2(told.ends_with("sudo setfacl -m u:$USER:rw /dev/bus/usb/001/002"), told.c_str());
        QVERIFY(simulated.hasDriver());
    }

    void givenBackWhenItsProcessIsKilled()
    {
        SimulatedUsbDevice const device("1-1", 2);
        struct Word {
            enum class What : std::uint8_t { Ready } what;
        };
        std::mt19937 random(1);
        tests::workAndBeKilled<Word>(random, 1000, [&](unsigned, int words) {
            Plugged const plugged;
            Word const ready { Word::What::Ready };
            (void)!::write(words, &ready, sizeof ready);
            for (;;)
                ::pause();
        });
        QTRY_VERIFY(device.hasDriver());
        QCOMPARE(joined(device.calls()), "detach 0, claim 0, set-interface 0 0, reset, attach 0");
    }

    /// As a guest has it, by a controller: an address, data both ways, and out in the middle of waiting for more.
    void hundredRoundsLeaveNothingBehind()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        auto const usb = tests::must(HostUsb::open());
        auto const info = usb->devices().front();
        XhciDriver d;
        d.start();
        auto const round = [&] {
            auto device = tests::must(HostUsbDevice::open(usb, info, [] {}));
            d.setPort(1, 0xfe0000); // seen to be empty, as it is for so long after
            d.board.time.advance(300ms);
            QVERIFY(d.controller.plug(0, *device).has_value());
            auto control = d.address(1);
            QCOMPARE(control.slot, 1u); // none is left over
            auto out = d.addEndpoint(1, 4, tests::usb::BulkOut), in = d.addEndpoint(1, 3, tests::usb::BulkIn),
                 waiting = d.addEndpoint(1, 7, tests::usb::InterruptIn);
            d.dropEvents();
            std::fill_n(d.ram(0xf000), 0x800, std::uint8_t(0x5a));
            std::fill_n(d.ram(0xf800), 0x800, std::uint8_t(0));
            d.put(waiting, XhciDriver::Normal, 0xe000, 8, XhciDriver::Ioc);
            d.kick(waiting);
            d.put(out, XhciDriver::Normal, 0xf000, 0x700, XhciDriver::Ioc);
            d.kick(out);
            QTRY_VERIFY(d.hasEvent());
            QCOMPARE(d.event().code(), unsigned(tests::usb::Success));
            d.put(in, XhciDriver::Normal, 0xf800, 0x800, XhciDriver::Ioc);
            d.kick(in);
            QTRY_VERIFY(d.hasEvent());
            QCOMPARE(d.event().code(), unsigned(tests::usb::ShortPacket));
            QCOMPARE(d.bytes(0xf800, 0x700), Bytes(0x700, 0x5a));
            d.controller.unplug(0);
            QCOMPARE(d.event(XhciDriver::TransferEvent).code(), unsigned(tests::usb::Transaction));
            device.reset();
            QVERIFY(simulated.hasDriver());
            d.command(XhciDriver::DisableSlot, 0, XhciDriver::slotBits(1));
            d.dropEvents();
        };
        auto const count = [](char const* folder) {
            return QDir(folder).entryList(QDir::NoDotAndDotDot | QDir::AllEntries | QDir::System).size();
        };
        for (int warm = 0; warm < 5; ++warm)
            round();
        auto const files = count("/proc/self/fd"), threads = count("/proc/self/task");
        auto const bytes = ::mallinfo2().uordblks;
        for (int i = 0; i < 100 && !QTest::currentTestFailed(); ++i)
            round();
        QTRY_VERIFY(count("/proc/self/fd") <= files); // umockdev's end of a device is closed a little later than ours
        QTRY_VERIFY(count("/proc/self/task") <= threads);
        QCOMPARE(::waitpid(-1, nullptr, WNOHANG), -1); // no program that still waits for our end
        constexpr std::size_t least = 4096;            // of a request's memory
        QVERIFY(::mallinfo2().uordblks < bytes + 100 * least);
    }

    /// What it waits for is cancelled, and its firmware and its system find the device again.
    void aGuestThatRebootsKeepsIt()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        auto const usb = tests::must(HostUsb::open());
        std::atomic<int> gone = 0;
        auto const device = tests::must(HostUsbDevice::open(usb, usb->devices().front(), [&] { ++gone; }));
        XhciDriver d;
        REQUIRE_OK(d.controller.plug(0, *device));
        for (int boot = 0; boot < 3; ++boot) {
            d.start();
            auto const slot = d.address(1).slot;
            QCOMPARE(d.lastCode, unsigned(tests::usb::Success));
            auto out = d.addEndpoint(slot, 4, tests::usb::BulkOut), in = d.addEndpoint(slot, 3, tests::usb::BulkIn),
                 waiting = d.addEndpoint(slot, 7, tests::usb::InterruptIn);
            d.dropEvents();
            std::fill_n(d.ram(0xf000), 0x200, std::uint8_t(0x5a));
            d.put(out, XhciDriver::Normal, 0xf000, 0x200, XhciDriver::Ioc);
            d.kick(out);
            QTRY_VERIFY(d.hasEvent());
            QCOMPARE(d.event().code(), unsigned(tests::usb::Success));
            d.put(in, XhciDriver::Normal, 0xf800, 0x200, XhciDriver::Ioc);
            d.kick(in);
            QTRY_VERIFY(d.hasEvent());
            QCOMPARE(d.event().code(), unsigned(tests::usb::Success));
            QCOMPARE(d.bytes(0xf800, 0x200), Bytes(0x200, 0x5a));
            d.put(in, XhciDriver::Normal, 0xf800, 0x200, XhciDriver::Ioc);
            d.kick(in);
            d.put(waiting, XhciDriver::Normal, 0xe000, 8, XhciDriver::Ioc);
            d.kick(waiting);
            QTRY_COMPARE(simulated.waiting(), 2u);
            d.controller.pause();
            d.controller.reset();
            d.controller.resume();
            QCOMPARE(simulated.waiting(), 0u);
            QVERIFY(device->isPlugged() && !simulated.hasDriver());
        }
        QCOMPARE(gone.load(), 0);
        d.controller.unplug(0);
    }

    void controlTransfersGoThrough()
    {
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        Asked in(Kind::Control, 0x80, Bytes(300), { 0xc0, 1, 0, 0, 0, 0, 44, 1 });
        QVERIFY(plugged.run(in));
        QCOMPARE(in.transfer.transferred, 300u);
        QCOMPARE(in.data[299], 299 & 0xff);
        Asked out(Kind::Control, 0x00, { 4, 5, 6 }, { 0x40, 2, 0, 0, 0, 0, 3, 0 });
        QVERIFY(plugged.run(out));
        QCOMPARE(device.kept(), (Bytes { 4, 5, 6 }));
        Asked refused(Kind::Control, 0x00, {}, { 0x40, 3, 0, 0, 0, 0, 0, 0 });
        QVERIFY(plugged.run(refused, UsbStatus::Stall));
        Asked shorter(Kind::Control, 0x80, Bytes(10), { 0xc0, 1, 0, 0, 0, 0, 44, 1 }); // asks for more than it takes
        QVERIFY(plugged.run(shorter));
        QCOMPARE(shorter.transfer.transferred, 10u);
        Asked longer(Kind::Control, 0x00, Bytes(2), { 0x40, 2, 0, 0, 0, 0, 3, 0 }); // says more than it has
        QVERIFY(plugged.run(longer, UsbStatus::TransactionError));
        QCOMPARE(device.kept(), (Bytes { 4, 5, 6 }));
    }

    void whatTheKernelMustKnowIsSaidToIt()
    {
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        auto const before = device.calls().size();
        Asked address(Kind::Control, 0, {}, { 0, 5, 9, 0, 0, 0, 0, 0 });
        Asked configuration(Kind::Control, 0, {}, { 0, 9, 1, 0, 0, 0, 0, 0 });
        Asked setting(Kind::Control, 0, {}, { 1, 11, 1, 0, 0, 0, 0, 0 });
        Asked halt(Kind::Control, 0, {}, { 2, 1, 0, 0, 0x81, 0, 0, 0 });
        for (auto* const asked : { &address, &configuration, &setting, &halt })
            QVERIFY(plugged.run(*asked));
        auto const calls = device.calls();
        QCOMPARE(joined({ calls.begin() + static_cast<std::ptrdiff_t>(before), calls.end() }),
            "set-interface 0 0, set-interface 0 1, clear-halt 81");
    }

    void whatIsAskedMeanwhileWaitsItsTurn()
    {
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        Asked setting(Kind::Control, 0, {}, { 1, 11, 1, 0, 0, 0, 0, 0 });
        Asked out(Kind::Bulk, 0x02, counting(100)), in(Kind::Bulk, 0x81, Bytes(100)), never(Kind::Bulk, 0x81, Bytes(9));
        {
            std::lock_guard const lock(plugged.host.usbMutex()); // so that the work cannot end yet
            for (auto* const asked : { &setting, &out, &in, &never })
                plugged.device->submit(asked->transfer);
            plugged.device->cancel(never.transfer);
        }
        QVERIFY(plugged.ends(in));
        QCOMPARE(in.got(), counting(100));
        QCOMPARE(plugged.host.ended, (std::vector { &never.transfer, &setting.transfer, &out.transfer, &in.transfer }));
        QCOMPARE(never.transfer.status, UsbStatus::Cancelled);
    }

    /// What the kernel does for a device that hangs takes seconds. Who takes the device from the guest does not wait.
    void whatIsAskedOfTheKernelCanBeCancelled()
    {
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        Asked setting(Kind::Control, 0, {}, { 1, 11, 1, 0, 0, 0, 0, 0 }), out(Kind::Bulk, 0x02, counting(100));
        {
            std::lock_guard const lock(plugged.host.usbMutex()); // so that the work cannot end yet
            plugged.device->submit(setting.transfer);
            plugged.device->submit(out.transfer);
            plugged.device->cancel(setting.transfer);
            QCOMPARE(plugged.host.ended, (std::vector { &setting.transfer }));
            QCOMPARE(setting.transfer.status, UsbStatus::Cancelled);
        }
        QVERIFY(plugged.ends(out)); // after it
        QVERIFY(joined(device.calls()).find("set-interface 0 1") != std::string::npos);
        QCOMPARE(plugged.host.ended, (std::vector { &setting.transfer, &out.transfer }));
    }

    /// Nor does who cancels what else is in flight: the kernel would have them wait for each other.
    void nobodyWaitsForADeviceThatHangs()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        Asked in(Kind::Bulk, 0x81, Bytes(100)), halt(Kind::Control, 0, {}, { 2, 1, 0, 0, 0x02, 0, 0, 0 });
        plugged.submit(in);
        device.hang();
        plugged.submit(halt);
        QTRY_VERIFY(joined(device.calls()).find("clear-halt 02") != std::string::npos);
        std::atomic<bool> isFree = false;
        std::thread cancelling([&] {
            plugged.cancel(in);
            isFree = true;
        });
        bool const wasFree = tests::becomes([&] { return isFree.load(); });
        device.answerAgain();
        cancelling.join();
        QVERIFY(wasFree);
        QVERIFY(plugged.ends(halt) && plugged.ends(in));
        QCOMPARE(in.transfer.status, UsbStatus::Cancelled);
    }

    void bulkOfAnySize_data()
    {
        QTest::addColumn<std::size_t>("size");
        for (std::size_t const size : { 1u, 512u, 513u, 1u << 20, (1u << 20) + 1, 4u << 20 })
            QTest::addRow("%zu", size) << size;
    }
    void bulkOfAnySize()
    {
        QFETCH(std::size_t, size);
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        Asked out(Kind::Bulk, 0x02, counting(size)), in(Kind::Bulk, 0x81, Bytes(size + 100));
        QVERIFY(plugged.run(out));
        QCOMPARE(out.transfer.transferred, size);
        plugged.submit(in);
        if (size % (1u << 20) == 0) { // a device that has sent full requests may have more
            QTRY_COMPARE(device.waiting(), 1u);
            plugged.cancel(in);
        }
        QVERIFY(plugged.ends(in));
        QCOMPARE(in.got(), counting(size));
    }

    /// The longest that Linux' usb-storage makes: a device does not wait for us in the middle of it.
    void aMebibyteIsOneRequest()
    {
        constexpr std::size_t size = 1u << 20;
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        Asked out(Kind::Bulk, 0x02, counting(size)), more(Kind::Bulk, 0x02, counting(size + 1));
        QVERIFY(plugged.run(out));
        QCOMPARE(device.bulkUrbs(), (std::vector { int(size) }));
        QVERIFY(plugged.run(more));
        QCOMPARE(device.bulkUrbs(), (std::vector { int(size), int(size), 1 }));
    }

    void longTransfersKeepTheirOrder()
    {
        constexpr std::size_t size = 2400u << 10;
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        auto const content = counting(2 * size + 10);
        auto const part = [&](std::size_t from, std::size_t length) {
            return Bytes(content.begin() + std::ptrdiff_t(from), content.begin() + std::ptrdiff_t(from + length));
        };
        Asked out(Kind::Bulk, 0x02, part(0, size)), more(Kind::Bulk, 0x02, part(size, size)),
            last(Kind::Bulk, 0x02, part(2 * size, 10));
        Asked first(Kind::Bulk, 0x81, Bytes(size)), second(Kind::Bulk, 0x81, Bytes(size)),
            third(Kind::Bulk, 0x81, Bytes(10));
        for (auto* const asked : { &out, &more, &last })
            plugged.submit(*asked);
        QVERIFY(plugged.ends(last));
        for (auto* const asked : { &first, &second, &third })
            plugged.submit(*asked);
        QVERIFY(plugged.ends(third));
        QCOMPARE(first.got(), part(0, size));
        QCOMPARE(second.got(), part(size, size));
        QCOMPARE(third.got(), part(2 * size, 10));
    }

    void aHaltIsSeenAndCleared()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        Asked out(Kind::Bulk, 0x02, counting(3)), stalled(Kind::Bulk, 0x81, Bytes(3)), in(Kind::Bulk, 0x81, Bytes(3));
        device.halt();
        QVERIFY(plugged.run(out));
        QVERIFY(plugged.run(stalled, UsbStatus::Stall));
        Asked clear(Kind::Control, 0, {}, { 2, 1, 0, 0, 0x81, 0, 0, 0 });
        QVERIFY(plugged.run(clear));
        QVERIFY(plugged.run(in));
        QCOMPARE(in.got(), counting(3));
    }

    void whatADeviceDoesWrongIsTold()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        std::list<Asked> all;
        using enum UsbStatus;
        for (auto const& [error, status] : { std::pair(-EOVERFLOW, Babble), { -EPROTO, TransactionError },
                 { -EILSEQ, TransactionError }, { -ETIME, TransactionError }, { -EPIPE, Stall } }) {
            device.fail(error);
            QVERIFY(plugged.run(all.emplace_back(Kind::Bulk, 0x81, Bytes(512)), status));
        }
        for (int i = 0; i < 1000; ++i) { // one that stalls for ever, and its driver never clears it
            device.halt();
            QVERIFY(plugged.run(all.emplace_back(Kind::Bulk, 0x81, Bytes(512)), Stall));
        }
        Asked clear(Kind::Control, 0, {}, { 2, 1, 0, 0, 0x81, 0, 0, 0 }), out(Kind::Bulk, 0x02, counting(3)),
            in(Kind::Bulk, 0x81, Bytes(3));
        for (auto* const asked : { &clear, &out, &in })
            QVERIFY(plugged.run(*asked));
        QCOMPARE(in.got(), counting(3));
        QCOMPARE(plugged.gone.load(), 0);
    }

    /// Taken or refused with a reason, and given back: the usual descriptors with a byte that is another, each sixth in
    /// turn (with the length of the first endpoint among them), and cut off there.
    void descriptorsThatLie()
    {
        auto const usual = SimulatedUsbDevice::usualDescriptors();
        std::vector<Bytes> all;
        for (std::size_t i = 0; i < usual.size(); i += 6) {
            for (std::uint8_t const value : { 0x00, 0xff }) {
                all.push_back(usual);
                all.back()[i] = value;
            }
            all.emplace_back(usual.begin(), usual.begin() + std::ptrdiff_t(i));
        }
        unsigned taken = 0;
        for (auto const& descriptors : all) {
            SimulatedUsbDevice const device("1-1", 2, descriptors);
            auto const usb = tests::must(HostUsb::open());
            for (auto const& info : usb->devices()) { // of what libusb believes in
                auto opened = HostUsbDevice::open(usb, info, [] {});
                if (!opened) {
                    QVERIFY(!opened.error().detail.empty());
                    continue;
                }
                ++taken;
                tests::FakeUsbHost host;
                (*opened)->setHost(&host);
                std::array transfers { Asked(Kind::Control, 0x80, Bytes(255), { 0x80, 6, 0, 2, 0, 0, 255, 0 }),
                    Asked(Kind::Control, 0, {}, { 0, 9, 1, 0, 0, 0, 0, 0 }), Asked(Kind::Bulk, 0x02, counting(9)),
                    Asked(Kind::Isochronous, 0x84, Bytes(192)) };
                {
                    std::lock_guard const lock(host.usbMutex());
                    for (auto& asked : transfers) {
                        (*opened)->submit(asked.transfer);
                    }
                }
                QTRY_VERIFY((std::lock_guard(host.usbMutex()), host.ended.size() == transfers.size()));
                (*opened)->setHost(nullptr);
            }
        }
        QVERIFY(taken > all.size() / 2);
    }

    /// It offers to wake the guest up, and nobody could tell that it does.
    void noDeviceWakesTheGuestUp()
    {
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        Asked asked(Kind::Control, 0x80, Bytes(9), { 0x80, 6, 0, 2, 0, 0, 9, 0 });
        plugged.submit(asked);
        QVERIFY(plugged.ends(asked));
        QCOMPARE(asked.got().size(), std::size_t(9));
        QCOMPARE(asked.got()[7], 0x80);
    }

    void anInterruptEndpointWaitsUntilThereIsSomething()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        Asked first(Kind::Interrupt, 0x83, Bytes(8)), second(Kind::Interrupt, 0x83, Bytes(8));
        plugged.submit(first);
        plugged.submit(second);
        QTRY_COMPARE(device.waiting(), 2u);
        device.interrupt({ 1, 2, 3 });
        QVERIFY(plugged.ends(first));
        QCOMPARE(first.got(), (Bytes { 1, 2, 3 }));
        plugged.cancel(second);
        QVERIFY(plugged.ends(second));
        QCOMPARE(second.transfer.status, UsbStatus::Cancelled);
        QCOMPARE(device.waiting(), 0u);
    }

    void aResetIsMadeWhereItChangesAnything()
    {
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        auto const resets = [&] {
            auto const calls = device.calls();
            return std::count(calls.begin(), calls.end(), "reset");
        };
        std::deque<Asked> all;
        auto const asksForItsDescriptor = [&] {
            all.emplace_back(Kind::Control, std::uint8_t(0x80), Bytes(18),
                std::array<std::uint8_t, 8> { 0x80, 6, 0, 1, 0, 0, 18, 0 });
            return plugged.run(all.back()); // which waits for a reset
        };
        plugged.reset(); // whatever the host's driver has made of it
        QVERIFY(asksForItsDescriptor());
        QCOMPARE(resets(), 1);
        plugged.reset();
        QVERIFY(asksForItsDescriptor());
        QCOMPARE(resets(), 1);
        Asked out(Kind::Bulk, 0x02, counting(3));
        QVERIFY(plugged.run(out));
        plugged.reset();
        QVERIFY(asksForItsDescriptor());
        QCOMPARE(resets(), 2);
        // Nor is it as it was where it does not answer, though it was only asked for a descriptor.
        Asked inVain(Kind::Control, 0x80, Bytes(18), { 0x80, 6, 0xee, 3, 0, 0, 18, 0 });
        plugged.submit(inVain);
        plugged.cancel(inVain);
        QVERIFY(plugged.ends(inVain));
        plugged.reset();
        QVERIFY(asksForItsDescriptor());
        QCOMPARE(resets(), 3);
    }

    void takenFromTheGuestWhileItIsReset()
    {
        SimulatedUsbDevice const device("1-1", 2);
        {
            Plugged plugged;
            Asked out(Kind::Bulk, 0x02, counting(3));
            QVERIFY(plugged.run(out));
            plugged.reset();
        }
        QVERIFY(device.hasDriver());
        QCOMPARE(joined(device.calls()),
            "detach 0, claim 0, set-interface 0 0, release 0, reset, claim 0, release 0, reset, attach 0");
    }

    void pulledOutInMidTransfer()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        Asked waiting(Kind::Interrupt, 0x83, Bytes(8)), later(Kind::Bulk, 0x02, Bytes(8));
        plugged.submit(waiting);
        QTRY_COMPARE(device.waiting(), 1u);
        device.unplug();
        QVERIFY(plugged.ends(waiting));
        QCOMPARE(waiting.transfer.status, UsbStatus::TransactionError);
        QTRY_COMPARE(plugged.gone.load(), 1);
        QVERIFY(plugged.run(later, UsbStatus::TransactionError));
        QCOMPARE(plugged.gone.load(), 1);
    }

    void pulledOutWhileNothingIsAsked()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged const plugged;
        device.unplug();
        QTRY_COMPARE(plugged.gone.load(), 1);
    }

    void takenByADriverOfTheHost_data()
    {
        QTest::addColumn<bool>("isAsked");
        QTest::newRow("while the guest waits for it") << true;
        QTest::newRow("before the guest asks") << false;
    }

    void takenByADriverOfTheHost()
    {
        QFETCH(bool, isAsked);
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        Asked waiting(Kind::Interrupt, 0x83, Bytes(8)), later(Kind::Bulk, 0x02, Bytes(8));
        if (isAsked) {
            plugged.submit(waiting);
            QTRY_COMPARE(device.waiting(), 1u);
        }
        device.resetByTheHost();
        if (isAsked)
            QVERIFY(plugged.ends(waiting));
        else
            QVERIFY(plugged.run(later, UsbStatus::TransactionError));
        QTRY_COMPARE(plugged.gone.load(), 1);
        QVERIFY(plugged.run(later, UsbStatus::TransactionError));
        QVERIFY(device.hasDriver());
    }

    void takenWhileNobodyAsksItAnything()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        device.resetByTheHost();
        QTRY_COMPARE(plugged.gone.load(), 1);
    }

    void anotherDeviceAfterItsReset()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        Asked out(Kind::Bulk, 0x02, counting(3)), again(Kind::Bulk, 0x02, counting(3));
        QVERIFY(plugged.run(out));
        device.changeAtReset();
        plugged.reset();
        QVERIFY(plugged.run(again, UsbStatus::TransactionError));
        QTRY_COMPARE(plugged.gone.load(), 1);
    }

    void waitsForMemoryOfTheKernel()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        Asked waiting(Kind::Interrupt, 0x83, Bytes(8)), out(Kind::Bulk, 0x02, counting(5)),
            alone(Kind::Bulk, 0x02, counting(5));
        plugged.submit(waiting);
        QTRY_COMPARE(device.waiting(), 1u);
        device.refuseForMemory(3);
        {
            std::lock_guard const lock(plugged.host.usbMutex()); // before it is tried again
            plugged.device->submit(out.transfer);
            QVERIFY(plugged.host.ended.empty());
        }
        QVERIFY(plugged.ends(out)); // though nothing of ours has landed: others give memory back too
        QCOMPARE(out.transfer.status, UsbStatus::Success);
        device.refuseForMemory(1000);
        plugged.submit(alone);
        plugged.cancel(alone);
        QCOMPARE(alone.transfer.status, UsbStatus::Cancelled);
        plugged.cancel(waiting);
        QVERIFY(plugged.ends(waiting));
    }

    void anotherOneAtThePortIsNotTaken()
    {
        auto const usb = tests::must(HostUsb::open());
        std::optional<SimulatedUsbDevice> device;
        device.emplace("1-1", 2);
        QTRY_COMPARE(usb->devices().size(), 1u);
        auto const info = usb->devices().front();
        device.reset();
        device.emplace("1-1", 4);
        QTRY_VERIFY(!usb->devices().empty() && usb->devices().front().address == 4);
        auto const taken = HostUsbDevice::open(usb, info, {});
        QVERIFY(!taken);
        QCOMPARE(taken.error().code, ErrorCode::NotFound);
    }

    void whatIsSavedOfItNamesIt()
    {
        SimulatedUsbDevice const device("1-1", 2);
        Plugged first;
        auto const saved = first.device->save();
        QCOMPARE(saved.kind(), "usb-host-device");
        REQUIRE_OK(first.device->load(saved));
        QVERIFY(first.device->canSave().has_value());
        std::string const identity(first.device->identity());
        first.device->setHost(nullptr);
        first.device.reset();
        first.device = tests::must(HostUsbDevice::open(first.usb, first.usb->devices().front(), {}));
        first.device->setHost(&first.host);
        QVERIFY(first.device->identity() != identity); // so that a restore plugs it in anew
    }
};

REGISTER_SUITE(HostUsbTest);
#include "host_usb_test.moc"
