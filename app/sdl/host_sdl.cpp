#include "app/sdl/host_sdl.h"

#include "vmm/base/log.h"

#include <dlfcn.h>
#include <filesystem>

namespace app {

namespace {

vmm::Result<SdlFunctions> load()
{
    std::error_code unknown;
    auto const bin = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
    auto const path = (bin.parent_path() / "lib/chronovisor/sdl.so").string();
    auto* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    auto* function = module != nullptr ? ::dlsym(module, getSdlFunctionsName) : nullptr;
    if (function == nullptr) {
        auto const* reason = ::dlerror();
        return vmm::fail(vmm::ErrorCode::Unsupported,
            std::string("sound and gamepads need a part of Chronovisor that is not installed: ")
                + (reason != nullptr ? reason : path));
    }
    return reinterpret_cast<GetSdlFunctions*>(function)();
}

}

vmm::Result<SdlFunctions> sdlFunctions()
{
    static auto const functions = load();
    return functions;
}

vmm::EventLoop* sdlLoop()
{
    // Never destroyed, for that would wait for it.
    static auto* const thread = []() -> vmm::LoopThread* {
        auto started = vmm::LoopThread::start("sdl");
        if (started)
            return started->release();
        vmm::log(vmm::LogLevel::Warning, "sdl", "no sound and no gamepads: {}", started.error().message());
        return nullptr;
    }();
    return thread ? &thread->loop() : nullptr;
}

}
