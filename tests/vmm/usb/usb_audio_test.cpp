#include "tests/battery/battery.h"
#include "tests/fakes/fake_audio.h"
#include "tests/vmm/usb/usb_guest.h"
#include "tests/vmm/usb/xhci_driver.h"
#include "vmm/usb/usb_audio.h"

#include <nlohmann/json.hpp>

using namespace std::chrono_literals;
using namespace vmm;
using tests::FakeAudio;
using tests::UsbGuest;
using D = tests::XhciDriver;

namespace {

using Setup = std::array<std::uint8_t, 8>;
constexpr Setup playOn { 0x01, 11, 1, 0, 1, 0, 0, 0 }, playOff { 0x01, 11, 0, 0, 1, 0, 0, 0 },
    recordOn { 0x01, 11, 1, 0, 2, 0, 0, 0 };
enum Unit : std::uint8_t { Loudspeakers = 2, Microphone = 5 };
enum Control : std::uint8_t { Mute = 1, Volume = 2 };

Setup getOf(Unit unit, Control control, std::uint8_t channel, std::uint8_t request, std::uint8_t length = 2)
{
    return { 0xa1, request, channel, control, 0, unit, length, 0 };
}
Setup setOf(Unit unit, Control control, std::uint8_t channel, std::uint8_t length = 2)
{
    return { 0x21, 0x01, channel, control, 0, unit, length, 0 };
}

Bytes packetOf(std::vector<AudioFrame> const& frames)
{
    Bytes bytes;
    for (auto const& frame : frames) {
        for (auto const sample : { frame.left, frame.right }) {
            bytes.push_back(static_cast<std::uint8_t>(sample));
            bytes.push_back(static_cast<std::uint8_t>(sample >> 8));
        }
    }
    return bytes;
}

struct Headset {
    Headset() { guest.configure(); }
    FakeAudio sound;
    UsbAudio audio { "audio0", sound };
    UsbGuest guest { audio };
};

/// The lengths of descriptors add up; how many there are of each type and, of the class's own, subtype.
std::map<unsigned, int> countDescriptors(Bytes const& all)
{
    std::map<unsigned, int> found;
    for (std::size_t at = 0; at < all.size(); at += all[at]) {
        if (all[at] < 2 || at + all[at] > all.size())
            return {};
        bool const ofClass = (all[at + 1] & 0x20) != 0;
        ++found[all[at + 1] << 8 | (ofClass ? all[at + 2] : 0)];
    }
    return found;
}

/// A controller with the device in it, streaming in both ways.
struct Streaming {
    Streaming()
    {
        if (!d.controller.plug(0, audio))
            std::abort();
        d.start();
        control = d.address(1, 1);
        for (auto const& setup : { Setup { 0, 9, 1, 0, 0, 0, 0, 0 }, playOn, recordOn })
            d.request(control, setup, 0, 0);
        out = d.addEndpoint(1, 2, tests::usb::IsochOut, 3);
        in = d.addEndpoint(1, 5, tests::usb::IsochIn, 3);
        d.dropEvents();
    }
    ~Streaming() { d.controller.unplug(0); }
    /// Queues packets whose frames are numbered.
    void play(unsigned packets)
    {
        for (unsigned i = 0; i < packets; ++i, ++sent) {
            auto const at = 0xf000 + 192 * (sent % 16);
            auto const bytes = packetOf(std::vector<AudioFrame>(48, { static_cast<std::int16_t>(sent), -1 }));
            std::copy(bytes.begin(), bytes.end(), d.ram(at));
            d.put(out, D::Isoch, at, 192, D::Ioc | D::Sia);
        }
        d.kick(out);
    }

    FakeAudio sound;
    UsbAudio audio { "audio0", sound };
    D d;
    D::TransferRing control, out, in;
    unsigned sent = 0;
};

}

class UsbAudioTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        static FakeAudio sound;
        tests::battery<UsbAudio>([] { return std::make_unique<UsbAudio>("a", sound); },
            [](UsbAudio& audio) {
                UsbGuest guest(audio);
                guest.configure();
                guest.put(playOn);
                guest.put(setOf(Loudspeakers, Mute, 0, 1), { 1 });
                guest.put(setOf(Microphone, Volume, 1), { 0x00, 0xf0 });
            });
    }

    void descriptorsAddUp()
    {
        Headset headset;
        auto const all = headset.guest.get({ 0x80, 6, 0, 2, 0, 0, 255, 0 });
        QCOMPARE(std::size_t(all[2] | all[3] << 8), all.size());
        auto found = countDescriptors(all);
        QCOMPARE(found[0x0400], 5); // interfaces with their settings
        QCOMPARE(found[0x0500], 2); // endpoints
        QCOMPARE(found[0x2402], 4); // input terminals, and formats, which have the same number
        QCOMPARE(found[0x2403], 2); // output terminals
        QCOMPARE(found[0x2406], 2); // feature units
        QCOMPARE(found[0x2501], 2);
        // The header tells the length of what belongs to the control interface: all up to the next interface.
        auto const header = std::size_t(9 + 9);
        QCOMPARE(unsigned(all[header + 1]), 0x24u);
        auto const length = std::size_t(all[header + 5] | all[header + 6] << 8);
        QCOMPARE(unsigned(all[header + length]), 9u);
        QCOMPARE(unsigned(all[header + length + 1]), 4u);
        QCOMPARE(unsigned(all[header + length + 2]), 1u);
    }

    void volumeAndMuteAreKept()
    {
        Headset headset;
        auto& guest = headset.guest;
        QCOMPARE(guest.get(getOf(Loudspeakers, Volume, 1, 0x81)), (Bytes { 0x00, 0x00 }));
        QCOMPARE(guest.get(getOf(Loudspeakers, Volume, 1, 0x82)), (Bytes { 0x00, 0xc4 })); // -60 dB
        QCOMPARE(guest.get(getOf(Loudspeakers, Volume, 2, 0x83)), (Bytes { 0x00, 0x00 }));
        QCOMPARE(guest.get(getOf(Microphone, Volume, 1, 0x84)), (Bytes { 0x80, 0x00 }));
        guest.put(setOf(Loudspeakers, Volume, 2), { 0x00, 0xfa });
        QVERIFY(guest.status == UsbStatus::Success);
        QCOMPARE(guest.get(getOf(Loudspeakers, Volume, 2, 0x81)), (Bytes { 0x00, 0xfa }));
        QCOMPARE(guest.get(getOf(Loudspeakers, Volume, 1, 0x81)), (Bytes { 0x00, 0x00 }));
        guest.put(setOf(Microphone, Mute, 0, 1), { 7 });
        QCOMPARE(guest.get(getOf(Microphone, Mute, 0, 0x81, 1)), Bytes { 1 });
        QCOMPARE(guest.get(getOf(Loudspeakers, Mute, 0, 0x81, 1)), Bytes { 0 });
        // What is out of range is as near as it gets; the smallest number is silence.
        guest.put(setOf(Loudspeakers, Volume, 1), { 0xff, 0x7f });
        QCOMPARE(guest.get(getOf(Loudspeakers, Volume, 1, 0x81)), (Bytes { 0x00, 0x00 }));
        guest.put(setOf(Loudspeakers, Volume, 1), { 0x01, 0x80 });
        QCOMPARE(guest.get(getOf(Loudspeakers, Volume, 1, 0x81)), (Bytes { 0x00, 0xc4 }));
        guest.put(setOf(Loudspeakers, Volume, 1), { 0x00, 0x80 });
        QCOMPARE(guest.get(getOf(Loudspeakers, Volume, 1, 0x81)), (Bytes { 0x00, 0x80 }));
        // A new configuration leaves it; power off does not.
        guest.configure();
        QCOMPARE(guest.get(getOf(Loudspeakers, Volume, 2, 0x81)), (Bytes { 0x00, 0xfa }));
    }

    void whatIsNotThereIsRefused()
    {
        Headset headset;
        auto& guest = headset.guest;
        for (auto const& setup : {
                 getOf(Unit(3), Mute, 0, 0x81, 1),                                            // a terminal
                 getOf(Unit(9), Mute, 0, 0x81, 1), getOf(Loudspeakers, Mute, 1, 0x81, 1),     // mute is the master's
                 getOf(Loudspeakers, Mute, 0, 0x82, 1), getOf(Loudspeakers, Volume, 0, 0x81), // volume is not
                 getOf(Loudspeakers, Volume, 3, 0x81), getOf(Microphone, Volume, 2, 0x81),
                 getOf(Loudspeakers, Volume, 0xff, 0x81), getOf(Loudspeakers, Control(7), 0, 0x81),
                 getOf(Loudspeakers, Volume, 1, 0x85),
                 Setup { 0xa1, 0x81, 0, Mute, 1, Loudspeakers, 1, 0 }, // of another interface
                 Setup { 0xa2, 0x81, 0, 1, 1, 0, 3, 0 },               // the endpoint's rate is what it is
             }) {
            guest.get(setup);
            QVERIFY(guest.status == UsbStatus::Stall);
        }
        guest.put(setOf(Loudspeakers, Volume, 1, 1), { 0 }); // cut off
        QVERIFY(guest.status == UsbStatus::Stall);
        guest.put(setOf(Loudspeakers, Mute, 0, 0));
        QVERIFY(guest.status == UsbStatus::Stall);
        guest.put({ 0x21, 0x02, 1, Volume, 0, Loudspeakers, 2, 0 }, { 0, 0 }); // the minimum is no setting
        QVERIFY(guest.status == UsbStatus::Stall);
        guest.put({ 0x22, 0x01, 0, 1, 1, 0, 3, 0 }, { 0x44, 0xac, 0x00 });
        QVERIFY(guest.status == UsbStatus::Stall);
        for (auto const& setup : { Setup { 0x01, 11, 2, 0, 1, 0, 0, 0 }, Setup { 0x01, 11, 1, 0, 0, 0, 0, 0 },
                 Setup { 0x01, 11, 1, 0, 3, 0, 0, 0 } }) {
            guest.put(setup);
            QVERIFY(guest.status == UsbStatus::Stall);
        }
    }

    void streamIsOpenInItsSetting()
    {
        Headset headset;
        auto& sound = headset.sound;
        headset.guest.put(playOn);
        QVERIFY(sound.playing && !sound.recording);
        headset.guest.put(recordOn);
        QVERIFY(sound.recording);
        headset.guest.put(playOff);
        QVERIFY(!sound.playing && sound.recording);
        headset.audio.pause();
        QVERIFY(!sound.recording);
        headset.audio.resume();
        QVERIFY(sound.recording);
        headset.audio.setSuspended(true);
        QVERIFY(!sound.recording);
        headset.audio.setSuspended(false);
        QVERIFY(sound.recording);
        headset.guest.configure();
        QVERIFY(!sound.recording);
        headset.guest.put(playOn);
        headset.audio.setHost(nullptr);
        QVERIFY(!sound.playing);
        headset.audio.setHost(&headset.guest.host);
        QVERIFY(sound.playing);
        headset.audio.busReset();
        QVERIFY(!sound.playing);
    }

    void packetsArePlayed()
    {
        Headset headset;
        std::vector<AudioFrame> const frames { { 100, -200 }, { 32767, -32768 } };
        headset.guest.write(0x01, packetOf(frames)); // not open yet
        QVERIFY(headset.sound.heard.empty());
        headset.guest.put(playOn);
        QVERIFY(headset.guest.write(0x01, packetOf(frames)).status == UsbStatus::Success);
        QCOMPARE(headset.sound.heard, frames);
        // Half a frame is none, and there is no more than a packet.
        headset.sound.heard.clear();
        headset.guest.write(0x01, Bytes(7));
        QCOMPARE(headset.sound.heard.size(), std::size_t(1));
        headset.guest.write(0x01, Bytes(4096));
        QCOMPARE(headset.sound.heard.size(), std::size_t(50));
        headset.guest.write(0x01, {});
        QCOMPARE(headset.sound.heard.size(), std::size_t(50));
    }

    void volumeIsHeard()
    {
        Headset headset;
        headset.guest.put(playOn);
        headset.guest.put(setOf(Loudspeakers, Volume, 1), { 0x00, 0xec }); // -20 dB
        headset.guest.put(setOf(Loudspeakers, Volume, 2), { 0x00, 0x80 }); // none at all
        headset.guest.write(0x01, packetOf({ { 10000, 10000 }, { -32768, -32768 } }));
        QCOMPARE(headset.sound.heard, (std::vector<AudioFrame> { { 1000, 0 }, { -3277, 0 } }));
        headset.sound.heard.clear();
        headset.guest.put(setOf(Loudspeakers, Mute, 0, 1), { 1 });
        headset.guest.write(0x01, packetOf({ { 10000, 10000 } }));
        QCOMPARE(headset.sound.heard, std::vector<AudioFrame>(1));
    }

    void microphoneIsHeard()
    {
        Headset headset;
        QVERIFY(headset.guest.read(0x82, 98).data.empty()); // not open yet
        headset.guest.put(recordOn);
        for (std::int16_t i = 0; i < 60; ++i)
            headset.sound.said.push_back(static_cast<std::int16_t>(-i));
        auto const packet = headset.guest.read(0x82, 98);
        QVERIFY(packet.status == UsbStatus::Success);
        QCOMPARE(packet.data.size(), std::size_t(96));
        QCOMPARE(loadLittle<std::uint16_t>(ConstByteSpan(packet.data).subspan(94, 2)), std::uint16_t(-47));
        headset.guest.put(setOf(Microphone, Mute, 0, 1), { 1 });
        QCOMPARE(headset.guest.read(0x82, 98).data, Bytes(96));
        QVERIFY(headset.guest.read(0x82, 10).status == UsbStatus::Babble);
    }

    void otherEndpointsAreNone()
    {
        Headset headset;
        headset.guest.put(playOn);
        QVERIFY(headset.guest.read(0x81, 8).status == UsbStatus::Stall);
        QVERIFY(headset.guest.write(0x03, Bytes(8)).status == UsbStatus::Stall);
    }

    void impossibleVolumeIsNotLoaded()
    {
        Headset headset;
        headset.guest.put(setOf(Loudspeakers, Volume, 1), { 0x00, 0xf0 });
        auto const good = headset.audio.save();
        auto json = good.toJson();
        json["state"]["microphone"]["volumes"][0] = 256;
        auto const bad = Section::fromJson(json);
        REQUIRE_OK(bad);
        QVERIFY(!headset.audio.load(*bad));
        QVERIFY(headset.audio.save() == good);
    }

    void streamKeepsTheGuestsClock()
    {
        Streaming s;
        QVERIFY(s.sound.playing && s.sound.recording);
        s.play(8);
        QVERIFY(s.sound.heard.empty());
        for (unsigned i = 1; i <= 8; ++i) {
            s.d.board.time.advance(1ms);
            QCOMPARE(s.sound.heard.size(), std::size_t(48) * i);
        }
        s.d.dropEvents(); // or there is no room for more
        // A host that was late gives all that it owes, and nothing twice.
        s.play(8);
        s.d.board.time.advance(8ms);
        QCOMPARE(s.sound.heard.size(), std::size_t(48 * 16));
        for (unsigned i = 0; i < s.sound.heard.size(); ++i)
            QCOMPARE(int(s.sound.heard[i].left), int(i / 48));
        s.d.dropEvents();
        for (unsigned i = 0; i < 3; ++i)
            s.d.put(s.in, D::Isoch, 0xe000 + 96 * i, 98, D::Ioc | D::Sia);
        s.d.kick(s.in);
        s.sound.said.assign(48 * 3, 0x1234);
        s.d.board.time.advance(2ms);
        QCOMPARE(s.sound.said.size(), std::size_t(48));
        QCOMPARE(s.d.event(D::TransferEvent).code(), unsigned(tests::usb::Underrun)); // nothing is left to be played
        QCOMPARE(s.d.event(D::TransferEvent).length(), 2u);                           // of 98 bytes 96 have come
        QCOMPARE(unsigned(s.d.load<std::uint16_t>(0xe000 + 94)), 0x1234u);
    }

    void streamThatRunsDryGoesOn()
    {
        Streaming s;
        s.play(2);
        s.d.board.time.advance(10ms);
        QCOMPARE(s.sound.heard.size(), std::size_t(96));
        s.play(2);
        s.d.board.time.advance(3ms);
        QCOMPARE(s.sound.heard.size(), std::size_t(192));
    }

    void streamGoesOnAfterARestore()
    {
        Streaming s;
        s.play(8);
        s.d.board.time.advance(3ms);
        s.d.controller.pause();
        s.audio.pause();
        QVERIFY(!s.sound.playing);
        auto const device = s.audio.save(), controller = s.d.controller.save();
        s.audio.reset();
        s.d.controller.reset();
        REQUIRE_OK(s.audio.load(device));
        REQUIRE_OK(s.d.controller.load(controller));
        s.audio.resume();
        s.d.controller.resume();
        QVERIFY(s.sound.playing && s.sound.recording);
        s.d.board.time.advance(6ms);
        QCOMPARE(s.sound.heard.size(), std::size_t(48 * 8));
        for (unsigned i = 0; i < s.sound.heard.size(); ++i)
            QCOMPARE(int(s.sound.heard[i].left), int(i / 48));
    }

    void unpluggedInMidStreamIsSilent()
    {
        Streaming s;
        s.play(8);
        s.d.board.time.advance(2ms);
        s.d.controller.unplug(0);
        QVERIFY(!s.sound.playing && !s.sound.recording);
        s.d.board.time.advance(10ms);
        QCOMPARE(s.sound.heard.size(), std::size_t(96));
        REQUIRE_OK(s.d.controller.plug(0, s.audio));
    }
};

REGISTER_SUITE(UsbAudioTest);
#include "usb_audio_test.moc"
