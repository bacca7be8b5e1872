#include "app/runner/machine_runner.h"
#include "tests/fakes/fake_audio.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"

using tests::FakeAudio;
using tests::FakeMachine;

class MachinePlayTest : public QObject {
    Q_OBJECT
private slots:
    void machineIsConnectedWhileItIsInMemory()
    {
        auto const script = std::make_shared<FakeMachine::Script>();
        auto const host = std::make_shared<FakeAudio>();
        std::vector<std::string> names;
        auto factory = FakeMachine::factory(script);
        factory.sound = [&](std::string const& name) {
            names.push_back(name);
            return host;
        };
        auto config = tests::exampleConfig("web");
        config.usbControllers = { { "usb0" } };
        config.usbDevices = { { "sound0", vmm::UsbKind::Audio }, { "pad0", vmm::UsbKind::Gamepad } };
        app::MachineRunner runner(config, {}, factory);
        std::atomic<int> done = 0;
        runner.start([&](vmm::Result<> const&) { ++done; });
        QTRY_COMPARE(done.load(), 1);
        runner.drain();
        QCOMPARE(names, std::vector<std::string> { "web" });
        auto& port = *script->last->audio("sound0");
        port.setPlaying(true);
        std::vector<vmm::AudioFrame> const frames(2, { 3, 4 });
        port.play(frames);
        QCOMPARE(host->heard, frames);
        script->last->guestShakes("pad0"); // where there is no pad
        runner.preferGamepads();
        runner.powerOff([&](vmm::Result<> const&) { ++done; });
        QTRY_COMPARE(done.load(), 2);
        runner.drain();
        QCOMPARE(host.use_count(), 1L);
    }
};

REGISTER_SUITE(MachinePlayTest);
#include "machine_play_test.moc"
