#pragma once

#include "app/sdl/module.h"
#include "vmm/base/event_loop.h"

namespace app {

/// Loads "sdl.so" at the first call, and keeps it. Any thread.
vmm::Result<SdlFunctions> sdlFunctions();

/// The one thread that uses SDL, for sound and for gamepads. It is there from the first call on until the process ends,
/// and nobody ever waits for it: a host's sound server that hangs holds up what it serves and nothing else. Null where
/// the host has no thread left.
vmm::EventLoop* sdlLoop();

}
