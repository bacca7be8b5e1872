#include "app/media/medium.h"
#include "tests/fuzz/accepted.h"
#include "vmm/base/unique_fd.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

/// A file that a person drops on the window. The first byte says where the rest lies: at the start, or at a CD's volume
/// descriptors.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    static vmm::UniqueFd const file(::memfd_create("medium", MFD_CLOEXEC));
    static auto const path = fmt::format("/proc/self/fd/{}", file.get());
    if (size == 0 || ::ftruncate(file.get(), 0) != 0)
        return 0;
    auto const place = data[0] % 2 == 0 ? 0 : 16 * 2048;
    if (::pwrite(file.get(), data + 1, size - 1, place) < 0)
        return 0;
    auto const medium = app::inspectMedium(path);
    if (!medium)
        return 0;
    if (!medium->refusal)
        fuzz::accept();
    for (char const c : medium->label) {
        if (c < ' ' || c > '~')
            __builtin_trap();
    }
    return 0;
}
