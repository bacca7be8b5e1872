#include "app/sdl/module.h"

#include "vmm/backends/audio.h"

#include <SDL.h>
#include <algorithm>
#include <utility>

namespace {

using namespace app;

/// A part of SDL, in use.
class Subsystem {
public:
    explicit Subsystem(std::uint32_t which) : m_which(which)
    {
        SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
        SDL_SetHint(SDL_HINT_APP_NAME, "Chronovisor");
        SDL_SetHint(SDL_HINT_JOYSTICK_ALLOW_BACKGROUND_EVENTS, "1");
        // SDL's own USB drivers would open devices that a person may want to give to a machine.
        SDL_SetHint(SDL_HINT_JOYSTICK_HIDAPI, "0");
        m_isThere = SDL_InitSubSystem(which) == 0;
    }
    Subsystem(Subsystem const&) = delete;
    Subsystem& operator=(Subsystem const&) = delete;
    ~Subsystem()
    {
        if (m_isThere)
            SDL_QuitSubSystem(m_which);
    }
    bool isThere() const { return m_isThere; }

private:
    std::uint32_t const m_which;
    bool m_isThere = false;
};

class Stream final : public SoundStream {
public:
    explicit Stream(SdlFunctions::Move move) : m_move(std::move(move)) { }
    ~Stream() override
    {
        if (m_device != 0)
            SDL_CloseAudioDevice(m_device);
    }
    bool open(SoundWay way, std::string const& name)
    {
        if (!m_audio.isThere())
            return false;
        SDL_SetHint(SDL_HINT_AUDIO_DEVICE_STREAM_NAME, name.c_str());
        bool const plays = way == SoundWay::Playing;
        SDL_AudioSpec wanted {};
        wanted.freq = vmm::audioRate;
        wanted.format = AUDIO_S16SYS;
        wanted.channels = plays ? 2 : 1;
        wanted.samples = 512;
        wanted.userdata = this;
        wanted.callback = [](void* self, Uint8* bytes, int size) {
            auto* const samples = reinterpret_cast<std::int16_t*>(bytes);
            static_cast<Stream*>(self)->m_move({ samples, static_cast<std::size_t>(size) / sizeof(std::int16_t) });
        };
        // What the device cannot do SDL converts.
        m_device = SDL_OpenAudioDevice(nullptr, plays ? 0 : 1, &wanted, nullptr, 0);
        if (m_device == 0)
            return false;
        SDL_PauseAudioDevice(m_device, 0);
        return true;
    }

private:
    Subsystem m_audio { SDL_INIT_AUDIO };
    SdlFunctions::Move const m_move;
    SDL_AudioDeviceID m_device = 0;
};

using vmm::GamepadButton;

constexpr std::pair<SDL_GameControllerButton, GamepadButton> buttons[] {
    { SDL_CONTROLLER_BUTTON_A, GamepadButton::South },
    { SDL_CONTROLLER_BUTTON_B, GamepadButton::East },
    { SDL_CONTROLLER_BUTTON_X, GamepadButton::West },
    { SDL_CONTROLLER_BUTTON_Y, GamepadButton::North },
    { SDL_CONTROLLER_BUTTON_BACK, GamepadButton::Select },
    { SDL_CONTROLLER_BUTTON_GUIDE, GamepadButton::Home },
    { SDL_CONTROLLER_BUTTON_START, GamepadButton::Start },
    { SDL_CONTROLLER_BUTTON_LEFTSTICK, GamepadButton::LeftStick },
    { SDL_CONTROLLER_BUTTON_RIGHTSTICK, GamepadButton::RightStick },
    { SDL_CONTROLLER_BUTTON_LEFTSHOULDER, GamepadButton::LeftShoulder },
    { SDL_CONTROLLER_BUTTON_RIGHTSHOULDER, GamepadButton::RightShoulder },
    { SDL_CONTROLLER_BUTTON_DPAD_UP, GamepadButton::Up },
    { SDL_CONTROLLER_BUTTON_DPAD_DOWN, GamepadButton::Down },
    { SDL_CONTROLLER_BUTTON_DPAD_LEFT, GamepadButton::Left },
    { SDL_CONTROLLER_BUTTON_DPAD_RIGHT, GamepadButton::Right },
    { SDL_CONTROLLER_BUTTON_MISC1, GamepadButton::Capture },
    { SDL_CONTROLLER_BUTTON_TOUCHPAD, GamepadButton::Assistant },
};

vmm::GamepadState stateOf(SDL_GameController* pad)
{
    vmm::GamepadState state;
    for (auto const& [theirs, ours] : buttons) {
        if (SDL_GameControllerGetButton(pad, theirs) != 0)
            state.press(ours);
    }
    state.leftX = SDL_GameControllerGetAxis(pad, SDL_CONTROLLER_AXIS_LEFTX);
    state.leftY = SDL_GameControllerGetAxis(pad, SDL_CONTROLLER_AXIS_LEFTY);
    state.rightX = SDL_GameControllerGetAxis(pad, SDL_CONTROLLER_AXIS_RIGHTX);
    state.rightY = SDL_GameControllerGetAxis(pad, SDL_CONTROLLER_AXIS_RIGHTY);
    auto const trigger = [pad](SDL_GameControllerAxis axis) {
        return static_cast<std::uint8_t>(std::max<int>(0, SDL_GameControllerGetAxis(pad, axis)) >> 7);
    };
    state.leftTrigger = trigger(SDL_CONTROLLER_AXIS_TRIGGERLEFT);
    state.rightTrigger = trigger(SDL_CONTROLLER_AXIS_TRIGGERRIGHT);
    return state;
}

class Pads final : public HostPads {
public:
    bool isThere() const { return m_controllers.isThere(); }
    std::vector<HostPad> look() override
    {
        SDL_GameControllerUpdate();
        SDL_FlushEvents(SDL_FIRSTEVENT, SDL_LASTEVENT); // nobody reads them
        std::erase_if(m_pads, [](Pad const& pad) { return SDL_GameControllerGetAttached(pad.controller.get()) == 0; });
        for (int index = 0; index < SDL_NumJoysticks(); ++index) {
            auto const id = SDL_JoystickGetDeviceInstanceID(index);
            bool const isKnown
                = std::any_of(m_pads.begin(), m_pads.end(), [id](Pad const& pad) { return pad.id == id; });
            if (isKnown || SDL_IsGameController(index) == 0)
                continue;
            if (auto* const opened = SDL_GameControllerOpen(index))
                m_pads.push_back({ id, { opened, &SDL_GameControllerClose } });
        }
        std::vector<HostPad> all;
        for (auto const& pad : m_pads) {
            auto const* name = SDL_GameControllerName(pad.controller.get());
            all.push_back({ pad.id, name != nullptr ? name : "", stateOf(pad.controller.get()) });
        }
        return all;
    }
    void rumble(int id, std::uint16_t strong, std::uint16_t weak) override
    {
        for (auto const& pad : m_pads) {
            if (pad.id == id)
                SDL_GameControllerRumble(pad.controller.get(), strong, weak, longest);
        }
    }

private:
    static constexpr std::uint32_t longest = 0xffff; // milliseconds, as SDL has it
    struct Pad {
        SDL_JoystickID id;
        std::unique_ptr<SDL_GameController, decltype(&SDL_GameControllerClose)> controller;
    };
    Subsystem m_controllers { SDL_INIT_GAMECONTROLLER };
    std::vector<Pad> m_pads; // closed before SDL is
};

std::unique_ptr<SoundStream> openSound(
    SoundWay way, std::string const& name, SdlFunctions::Move move, std::string& problem)
{
    auto stream = std::make_unique<Stream>(std::move(move));
    if (stream->open(way, name))
        return stream;
    problem = SDL_GetError();
    return {};
}

std::unique_ptr<HostPads> openPads(std::string& problem)
{
    auto pads = std::make_unique<Pads>();
    if (pads->isThere())
        return pads;
    problem = SDL_GetError();
    return {};
}

}

// Only what was built together with it calls it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wreturn-type-c-linkage"
extern "C" __attribute__((visibility("default"))) app::SdlFunctions chronovisorSdlFunctions1()
{
    return { &openSound, &openPads };
}
#pragma GCC diagnostic pop
