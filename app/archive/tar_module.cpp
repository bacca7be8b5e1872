#include "app/archive/tar_module.h"

#include <dlfcn.h>
#include <filesystem>

namespace app {

namespace {

vmm::Result<TarFunctions> load()
{
    std::error_code unknown;
    auto const bin = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
    auto const path = (bin.parent_path() / "lib/chronovisor/archive.so").string();
    auto* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    auto* function = module != nullptr ? ::dlsym(module, getTarFunctionsName) : nullptr;
    if (function == nullptr) {
        auto const* reason = ::dlerror();
        return vmm::fail(vmm::ErrorCode::Unsupported,
            std::string("bundles need a part of Chronovisor that is not installed: ")
                + (reason != nullptr ? reason : path));
    }
    return reinterpret_cast<GetTarFunctions*>(function)();
}

}

vmm::Result<TarFunctions> tarFunctions()
{
    static auto const functions = load();
    return functions;
}

}
