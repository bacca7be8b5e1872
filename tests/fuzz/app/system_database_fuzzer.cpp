#include "app/systems/system_database.h"
#include "tests/fuzz/accepted.h"
#include "vmm/base/unique_fd.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

/// libosinfo 1.10 forgets the path of each medium, which LeakSanitizer asks here whether it should tell.
extern "C" char const* __lsan_default_options() // NOLINT(bugprone-reserved-identifier,readability-identifier-naming)
{
    return "detect_leaks=0";
}

/// An ISO that a person points at, as libosinfo reads it: a volume that can be booted, over whose descriptors the input
/// is written.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    constexpr std::size_t sector = 2048, descriptors = 16 * sector;
    static app::SystemDatabase const database;
    static vmm::UniqueFd const file(::memfd_create("iso", MFD_CLOEXEC));
    static auto const path = fmt::format("/proc/self/fd/{}", file.get());
    std::vector<std::uint8_t> image(descriptors + 4 * sector);
    std::memcpy(&image[descriptors], "\1CD001\1", 7);
    std::memcpy(&image[descriptors + sector], "\0CD001\1EL TORITO SPECIFICATION", 30);
    if (size < 2)
        return 0;
    auto const at = std::size_t(data[0] | data[1] << 8) % (4 * sector);
    std::memcpy(&image[descriptors + at], data + 2, std::min(size - 2, image.size() - descriptors - at));
    if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), image.data(), image.size(), 0) < 0)
        return 0;
    auto const found = database.identify(path);
    if (found)
        fuzz::accept();
    if (found && !found->system.id.empty())
        static_cast<void>(database.needs(found->system.id));
    return 0;
}
