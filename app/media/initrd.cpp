#include "app/media/initrd.h"

#include <filesystem>

namespace app {

std::string initrdBeside(std::string const& kernel)
{
    std::filesystem::path const path(kernel);
    auto const name = path.filename().string();
    auto const dash = name.find('-');
    auto const version = dash == std::string::npos ? std::string() : name.substr(dash);
    // As Debian, Fedora and Arch, openSUSE, and installers call it.
    for (auto const& candidate : { "initrd.img" + version, "initramfs" + version + ".img", "initrd" + version,
             "initrd" + version + ".img", "initrd" + version + ".gz" }) {
        std::error_code none;
        if (auto const found = path.parent_path() / candidate; std::filesystem::is_regular_file(found, none))
            return found.string();
    }
    return {};
}

}
