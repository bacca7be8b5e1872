#include "app/sdl/host_gamepads.h"
#include "app/sdl/host_sound.h"
#include "tests/fakes/manual_loop.h"
#include "tests/support/suite.h"

using namespace app;
using tests::ManualLoop;

namespace {

using vmm::AudioFrame;
using vmm::GamepadButton;
using vmm::GamepadState;

GamepadState pressed(GamepadButton button)
{
    GamepadState state;
    state.press(button);
    return state;
}

/// What gamepads have been told, in turn.
struct Players {
    GamepadDealer dealer;
    std::map<std::string, std::vector<GamepadState>> told;
    GamepadDealer::Seat sit(std::string const& name)
    {
        return dealer.add([this, name](GamepadState const& state) { told[name].push_back(state); });
    }
    GamepadState last(std::string const& name) { return told[name].empty() ? GamepadState() : told[name].back(); }
};

/// SDL, of which a test is the sound server.
struct FakeSdl {
    struct Stream final : SoundStream {
        explicit Stream(FakeSdl& its) : sdl(its) { ++sdl.open; }
        ~Stream() override { --sdl.open; }
        FakeSdl& sdl;
    };
    static inline FakeSdl* now = nullptr;
    FakeSdl() { now = this; }
    HostSound::Sdl sdl()
    {
        return { &loop, [this]() -> vmm::Result<SdlFunctions> {
                    ++asked;
                    if (!installed)
                        return vmm::fail(vmm::ErrorCode::Unsupported, "not installed");
                    return SdlFunctions { &openSound, nullptr };
                } };
    }
    static std::unique_ptr<SoundStream> openSound(
        SoundWay way, std::string const&, SdlFunctions::Move move, std::string& problem)
    {
        if (!now->works) {
            problem = "no sound card";
            return nullptr;
        }
        now->move[way] = std::move(move);
        return std::make_unique<Stream>(*now);
    }
    std::vector<std::int16_t> take(std::size_t count)
    {
        std::vector<std::int16_t> samples(count);
        move[SoundWay::Playing](samples);
        return samples;
    }

    ManualLoop loop;
    bool installed = true, works = true;
    int asked = 0, open = 0;
    std::map<SoundWay, SdlFunctions::Move> move;
};

std::vector<AudioFrame> frames(std::size_t count, std::int16_t value)
{
    return std::vector<AudioFrame>(count, { value, value });
}

}

class HostPlayTest : public QObject {
    Q_OBJECT
private slots:
    void padsAreDealtInTurnAndStay()
    {
        Players players;
        auto const one = players.sit("one"), two = players.sit("two");
        players.dealer.look({});
        QCOMPARE(players.told["one"].size(), std::size_t(1)); // nothing is pressed
        players.dealer.look({ { 7, "a", pressed(GamepadButton::South) } });
        QCOMPARE(players.last("one"), pressed(GamepadButton::South));
        QCOMPARE(players.last("two"), GamepadState());
        players.dealer.look({ { 7, "a", {} }, { 9, "b", pressed(GamepadButton::Up) }, { 12, "c", {} } });
        QCOMPARE(players.dealer.padOf(one), std::optional(7));
        QCOMPARE(players.dealer.padOf(two), std::optional(9));
        QCOMPARE(players.last("one"), GamepadState());
        QCOMPARE(players.last("two"), pressed(GamepadButton::Up));
        // A pad that is pulled out lets go, and the next one that is free takes its place.
        players.dealer.look({ { 7, "a", {} } });
        QCOMPARE(players.last("two"), GamepadState());
        QCOMPARE(players.dealer.padOf(two), std::optional<int>());
        players.dealer.look({ { 7, "a", {} }, { 13, "b", pressed(GamepadButton::East) } });
        QCOMPARE(players.last("two"), pressed(GamepadButton::East));
        QCOMPARE(players.dealer.padOf(one), std::optional(7));
    }

    void whatIsTheSameIsToldOnce()
    {
        Players players;
        auto const seat = players.sit("one");
        for (int i = 0; i < 5; ++i)
            players.dealer.look({ { 1, "a", pressed(GamepadButton::South) } });
        QCOMPARE(players.told["one"].size(), std::size_t(1));
        players.dealer.repeat(seat);
        players.dealer.look({ { 1, "a", pressed(GamepadButton::South) } });
        QCOMPARE(players.told["one"].size(), std::size_t(2));
        players.dealer.remove(seat);
        players.dealer.look({ { 1, "a", {} } });
        QCOMPARE(players.told["one"].size(), std::size_t(2));
        QVERIFY(players.dealer.isEmpty());
    }

    void machineThatOneLooksAtGetsThePads()
    {
        Players players;
        auto const back = players.sit("back"), first = players.sit("first"), second = players.sit("second");
        std::vector<HostPad> const pads { { 1, "a", pressed(GamepadButton::South) },
            { 2, "b", pressed(GamepadButton::East) } };
        players.dealer.look(pads);
        QCOMPARE(players.last("back"), pressed(GamepadButton::South));
        players.dealer.prefer({ first, second });
        QCOMPARE(players.last("back"), GamepadState());
        players.dealer.look(pads);
        QCOMPARE(players.last("first"), pressed(GamepadButton::South));
        QCOMPARE(players.last("second"), pressed(GamepadButton::East));
        QCOMPARE(players.last("back"), GamepadState());
        QCOMPARE(players.dealer.padOf(back), std::optional<int>());
    }

    void nothingIsLoadedBeforeTheGuestPlays()
    {
        FakeSdl sdl;
        {
            HostSound sound("web", sdl.sdl());
            sdl.loop.turn();
            QCOMPARE(sdl.asked, 0);
            sound.setPlaying(true);
            sdl.loop.turn();
            QCOMPARE(sdl.open, 1);
            sound.setRecording(true);
            sdl.loop.turn();
            QCOMPARE(sdl.open, 2);
        }
        sdl.loop.turn();
        QCOMPARE(sdl.open, 0);
    }

    void soundGoesThrough()
    {
        FakeSdl sdl;
        HostSound sound("web", sdl.sdl());
        sound.setPlaying(true);
        sound.setRecording(true);
        sdl.loop.turn();
        for (int i = 0; i < 60; ++i)
            sound.play(frames(48, 1000));
        QCOMPARE(sdl.take(1024), std::vector<std::int16_t>(1024, 1000));
        std::vector<std::int16_t> heard(512, 2000);
        for (int i = 0; i < 5; ++i)
            sdl.move[SoundWay::Recording](heard);
        std::vector<std::int16_t> samples(48);
        sound.record(samples);
        QCOMPARE(samples, std::vector<std::int16_t>(48, 2000));
    }

    void shortPauseClosesNothing()
    {
        FakeSdl sdl;
        HostSound sound("web", sdl.sdl());
        sound.setPlaying(true);
        sdl.loop.turn();
        sound.play(frames(2048, 5));
        sound.setPlaying(false);
        sdl.loop.turn();
        sound.setPlaying(true);
        sdl.loop.turn();
        sdl.loop.runTimers();
        QCOMPARE(sdl.open, 1);
        QCOMPARE(sdl.take(2), std::vector<std::int16_t>(2, 5)); // and what was on its way is heard
        sound.setPlaying(false);
        sdl.loop.turn();
        QCOMPARE(sdl.open, 1);
        sdl.loop.runTimers();
        QCOMPARE(sdl.open, 0);
    }

    void hostWithoutSoundIsSilentAndAskedAgain()
    {
        FakeSdl sdl;
        sdl.works = false;
        HostSound sound("web", sdl.sdl());
        sound.setPlaying(true);
        sound.setRecording(true);
        sdl.loop.turn();
        QCOMPARE(sdl.open, 0);
        for (int i = 0; i < 10000; ++i) // nobody takes it
            sound.play(frames(48, 1));
        std::vector<std::int16_t> samples(48, 7);
        sound.record(samples);
        QCOMPARE(samples, std::vector<std::int16_t>(48));
        sound.setPlaying(false);
        sdl.loop.turn();
        sdl.works = true;
        sound.setPlaying(true);
        sdl.loop.turn();
        QCOMPARE(sdl.open, 1);
        sdl.installed = false;
        HostSound other("db", sdl.sdl());
        other.setPlaying(true);
        sdl.loop.turn();
        QCOMPARE(sdl.open, 1);
    }

    void hostWithoutAThreadIsSilent()
    {
        HostSound sound("web", {});
        sound.setPlaying(true);
        sound.play(frames(48, 1));
        std::vector<std::int16_t> samples(48, 7);
        sound.record(samples);
        QCOMPARE(samples, std::vector<std::int16_t>(48));
    }
};

REGISTER_SUITE(HostPlayTest);
#include "host_play_test.moc"
