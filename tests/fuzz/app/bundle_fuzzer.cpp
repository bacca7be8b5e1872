#include "app/store/bundle.h"
#include "tests/fuzz/accepted.h"
#include "vmm/base/unique_fd.h"

#include <cstdlib>
#include <filesystem>
#include <sys/mman.h>
#include <unistd.h>

/// A bundle from anywhere, compressed or not.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    static vmm::UniqueFd const file(::memfd_create("bundle", MFD_CLOEXEC));
    static std::string const directory = [] {
        std::string name = std::filesystem::temp_directory_path() / "bundle-fuzzer-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr)
            std::abort();
        static struct Remover {
            std::string path;
            ~Remover()
            {
                std::error_code ignored;
                std::filesystem::remove_all(path, ignored);
            }
        } const remover { name };
        return name;
    }();
    if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), data, size, 0) != static_cast<ssize_t>(size)
        || ::lseek(file.get(), 0, SEEK_SET) != 0)
        return 0;
    auto const into = directory + "/in";
    std::filesystem::create_directory(into);
    auto const accept = [](app::BundleRecord const& record, std::string const&) -> vmm::Result<> {
        fuzz::accept(); // its record; the checksums come last
        for (auto const& one : record.files) {
            if (one.name.find('/') != std::string::npos || one.name.starts_with('.'))
                __builtin_trap();
            if (one.size > 64u << 20) // nothing here waits for a disk of gigabytes
                return vmm::fail(vmm::ErrorCode::NoSpace, "it is large");
        }
        return {};
    };
    auto const read = app::readBundle(file.get(), into, accept);
    // Nothing beside it, and what is whole is all there.
    if (std::distance(std::filesystem::directory_iterator(directory), {}) != 1)
        __builtin_trap();
    for (std::size_t i = 0; read && i < read->files.size(); ++i) {
        if (std::filesystem::file_size(into + "/" + read->files[i].name) != read->files[i].size)
            __builtin_trap();
    }
    std::filesystem::remove_all(into);
    return 0;
}
