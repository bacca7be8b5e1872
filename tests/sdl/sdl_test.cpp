#include "app/runner/machine_runner.h"
#include "app/sdl/host_gamepads.h"
#include "app/sdl/host_sdl.h"
#include "app/sdl/host_sound.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"

#include <QFile>
#include <QTemporaryDir>
#include <SDL.h>
#include <atomic>

using namespace app;
using tests::FakeMachine;
using vmm::GamepadButton;

namespace {

/// A pad that hangs on nothing, with the buttons and axes of SDL's game controllers, and two motors.
struct VirtualPad {
    VirtualPad()
    {
        SDL_VirtualJoystickDesc description {};
        description.version = SDL_VIRTUAL_JOYSTICK_DESC_VERSION;
        description.type = SDL_JOYSTICK_TYPE_GAMECONTROLLER;
        description.naxes = SDL_CONTROLLER_AXIS_MAX;
        description.nbuttons = SDL_CONTROLLER_BUTTON_MAX;
        description.userdata = this;
        description.Rumble = [](void* self, Uint16 strong, Uint16 weak) {
            static_cast<VirtualPad*>(self)->motors = unsigned(strong) << 16 | weak;
            return 0;
        };
        auto const index = SDL_JoystickAttachVirtualEx(&description);
        if (index < 0)
            qFatal("%s", SDL_GetError());
        joystick = SDL_JoystickOpen(index);
        id = SDL_JoystickInstanceID(joystick);
        // A trigger at rest is at the end of its axis.
        SDL_JoystickSetVirtualAxis(joystick, SDL_CONTROLLER_AXIS_TRIGGERLEFT, SDL_JOYSTICK_AXIS_MIN);
        SDL_JoystickSetVirtualAxis(joystick, SDL_CONTROLLER_AXIS_TRIGGERRIGHT, SDL_JOYSTICK_AXIS_MIN);
    }
    ~VirtualPad()
    {
        SDL_JoystickClose(joystick);
        for (int index = 0; index < SDL_NumJoysticks(); ++index) {
            if (SDL_JoystickGetDeviceInstanceID(index) == id)
                SDL_JoystickDetachVirtual(index);
        }
    }
    void press(SDL_GameControllerButton button, bool down) const
    {
        SDL_JoystickSetVirtualButton(joystick, button, down ? 1 : 0);
    }
    void move(SDL_GameControllerAxis axis, std::int16_t to) const { SDL_JoystickSetVirtualAxis(joystick, axis, to); }
    bool shakes(unsigned strong, unsigned weak) const { return motors == (strong << 16 | weak); }

    SDL_Joystick* joystick = nullptr;
    SDL_JoystickID id = 0;
    std::atomic<unsigned> motors = 0;
};

SdlFunctions functions()
{
    return tests::must(sdlFunctions());
}

std::unique_ptr<HostPads> openPads()
{
    std::string problem;
    auto pads = functions().openPads(problem);
    if (!pads)
        qFatal("%s", problem.c_str());
    return pads;
}

}

class SdlTest : public QObject {
    Q_OBJECT
private slots:
    void soundIsPlayedInOrder()
    {
        QTemporaryDir directory;
        auto const path = directory.filePath("sound.raw");
        qputenv("SDL_AUDIODRIVER", "disk");
        qputenv("SDL_DISKAUDIOFILE", path.toUtf8());
        qputenv("SDL_DISKAUDIODELAY", "0");
        std::atomic<unsigned> moved = 0;
        std::int16_t next = 0;
        std::string problem;
        auto stream = functions().openSound(
            SoundWay::Playing, "test",
            [&](std::span<std::int16_t> samples) {
                for (auto& sample : samples)
                    sample = next++;
                ++moved;
            },
            problem);
        QVERIFY2(stream, problem.c_str());
        QTRY_VERIFY(moved > 100);
        stream.reset();
        auto const blocks = moved.load();
        QCOMPARE(moved.load(), blocks); // it has come to its end
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadOnly));
        auto const bytes = file.readAll();
        QVERIFY(bytes.size() >= 100 * 512 * 4);
        auto const* samples = reinterpret_cast<std::int16_t const*>(bytes.constData());
        std::int16_t expected = 0;
        for (qsizetype i = 0; i < bytes.size() / 2; ++i, ++expected)
            QCOMPARE(samples[i], expected);
    }

    void soundIsRecorded()
    {
        qputenv("SDL_AUDIODRIVER", "dummy");
        std::atomic<std::size_t> heard = 0;
        std::string problem;
        auto stream = functions().openSound(
            SoundWay::Recording, "test", [&](std::span<std::int16_t> samples) { heard += samples.size(); }, problem);
        QVERIFY2(stream, problem.c_str());
        QTRY_VERIFY(heard >= 2048);
    }

    void hostWithoutSoundSaysWhy()
    {
        qputenv("SDL_AUDIODRIVER", "none-such");
        std::string problem;
        auto const stream = functions().openSound(
            SoundWay::Playing, "test", [](auto) {}, problem);
        QVERIFY(!stream);
        QVERIFY(!problem.empty());
        // And for a machine that is all that happens.
        HostSound sound("test");
        sound.setPlaying(true);
        for (int i = 0; i < 1000; ++i)
            sound.play(std::vector<vmm::AudioFrame>(48));
        sound.setPlaying(false);
        sdlLoop()->call([] {});
    }

    void machineIsHeard()
    {
        QTemporaryDir directory;
        auto const path = directory.filePath("sound.raw");
        qputenv("SDL_AUDIODRIVER", "disk");
        qputenv("SDL_DISKAUDIOFILE", path.toUtf8());
        qputenv("SDL_DISKAUDIODELAY", "10");
        {
            HostSound sound("test");
            sound.setPlaying(true);
            sdlLoop()->call([] {});
            sound.play(std::vector<vmm::AudioFrame>(2048, { 0x1234, 0x5678 }));
            QFile file(path);
            QTRY_VERIFY(file.exists() && file.size() > 4 * 8192);
        }
        sdlLoop()->call([] {});
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadOnly));
        QCOMPARE(file.readAll().count(QByteArray::fromHex("34127856")), 2048);
    }

    void padsAreSeen()
    {
        auto const pads = openPads();
        auto const before = pads->look().size();
        auto first = std::make_unique<VirtualPad>();
        VirtualPad const second;
        QCOMPARE(pads->look().size(), before + 2);
        first->press(SDL_CONTROLLER_BUTTON_A, true);
        first->press(SDL_CONTROLLER_BUTTON_DPAD_LEFT, true);
        second.press(SDL_CONTROLLER_BUTTON_MISC1, true);
        first->move(SDL_CONTROLLER_AXIS_LEFTX, -32768);
        first->move(SDL_CONTROLLER_AXIS_RIGHTY, 1000);
        first->move(SDL_CONTROLLER_AXIS_TRIGGERRIGHT, 32767);
        pads->look(); // SDL hands over what a pad of this kind does at its next update
        auto all = pads->look();
        auto const& state = all[before].state;
        QVERIFY(state.has(GamepadButton::South) && state.has(GamepadButton::Left));
        QVERIFY(!state.has(GamepadButton::East));
        QCOMPARE(int(state.leftX), -32768);
        QCOMPARE(int(state.rightY), 1000);
        QCOMPARE(int(state.leftTrigger), 0);
        QCOMPARE(int(state.rightTrigger), 255);
        QVERIFY(all[before + 1].state.has(GamepadButton::Capture));
        pads->rumble(all[before].id, 1000, 2000);
        QVERIFY(first->shakes(1000, 2000) && second.shakes(0, 0));
        auto const gone = all[before].id;
        first.reset();
        all = pads->look();
        QCOMPARE(all.size(), before + 1);
        QVERIFY(all[before].id != gone);
        pads->rumble(gone, 1000, 1000);
    }

    void machineIsPlayedWithAPad()
    {
        std::mutex mutex;
        std::vector<vmm::GamepadState> told;
        auto const hasLast = [&](auto const& condition) {
            std::lock_guard const lock(mutex);
            return !told.empty() && condition(told.back());
        };
        HostGamepads::Seat seat(HostGamepads::ofThisProcess(), [&](vmm::GamepadState const& state) {
            std::lock_guard const lock(mutex);
            told.push_back(state);
        });
        QTRY_VERIFY(hasLast([](auto const& state) { return state == vmm::GamepadState(); }));
        std::unique_ptr<VirtualPad> pad;
        sdlLoop()->call([&] {
            pad = std::make_unique<VirtualPad>();
            pad->press(SDL_CONTROLLER_BUTTON_START, true);
        });
        QTRY_VERIFY(hasLast([](auto const& state) { return state.has(GamepadButton::Start); }));
        seat.rumble(1, 2);
        sdlLoop()->call([&] { pad.reset(); });
        QTRY_VERIFY(hasLast([](auto const& state) { return state == vmm::GamepadState(); }));
    }

    void machinesGamepadIsPlayedAndShakes()
    {
        auto const script = std::make_shared<FakeMachine::Script>();
        auto factory = FakeMachine::factory(script);
        factory.gamepads = &HostGamepads::ofThisProcess();
        auto config = tests::exampleConfig("web");
        config.usbControllers = { { "usb0" } };
        config.usbDevices = { { "pad0", vmm::UsbKind::Gamepad } };
        MachineRunner runner(config, {}, factory);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner.start(done); }));
        QTRY_VERIFY(script->has("pad pad0 0")); // there is none yet
        std::unique_ptr<VirtualPad> pad;
        sdlLoop()->call([&] {
            pad = std::make_unique<VirtualPad>();
            pad->press(SDL_CONTROLLER_BUTTON_A, true);
        });
        QTRY_VERIFY(script->has("pad pad0 1"));
        script->last->guestShakes("pad0");
        QTRY_VERIFY(pad->shakes(1000, 2000));
        auto const before = script->times("pad pad0 0");
        sdlLoop()->call([&] { pad.reset(); }); // in the middle of it
        QTRY_COMPARE(script->times("pad pad0 0"), before + 1);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner.powerOff(done); }));
    }
};

REGISTER_SUITE(SdlTest);
#include "sdl_test.moc"
