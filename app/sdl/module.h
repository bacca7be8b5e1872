#pragma once

#include "vmm/backends/input.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

/// What SDL2 does for machines: the host's sound, and its gamepads. These interfaces stand before it so that no program
/// carries SDL, and what that brings along, until a machine plays, listens, or has a gamepad (host_sdl.h).
namespace app {

enum class SoundWay : std::uint8_t { Playing, Recording };

/// Open for as long as it is there. Its end waits for the function that moves sound.
class SoundStream {
public:
    virtual ~SoundStream() = default;
};

/// A pad of the host's, as it is now.
struct HostPad {
    int id = 0; ///< of this pad, from being plugged in to being pulled out
    std::string name;
    vmm::GamepadState state;
};

class HostPads {
public:
    virtual ~HostPads() = default;
    /// Those that are there, in the order in which they came.
    virtual std::vector<HostPad> look() = 0;
    /// Both motors, until it is called again or a minute has passed; nothing where the pad is gone or has none.
    virtual void rumble(int pad, std::uint16_t strong, std::uint16_t weak) = 0;
};

/// The functions of the module "sdl.so", which is built together with who loads it. All of it, ends too, on one thread.
/// What could not be had is null, with the reason in `problem`.
struct SdlFunctions {
    /// `move` is called on a thread of SDL's with samples to fill (two channels in turn), or that were heard (one), at
    /// vmm::audioRate.
    using Move = std::function<void(std::span<std::int16_t>)>;
    std::unique_ptr<SoundStream> (*openSound)(SoundWay way, std::string const& name, Move move, std::string& problem)
        = nullptr;
    std::unique_ptr<HostPads> (*openPads)(std::string& problem) = nullptr;
};
using GetSdlFunctions = SdlFunctions();
inline constexpr char const* getSdlFunctionsName = "chronovisorSdlFunctions1";

}
