#include "tests/fuzz/accepted.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/filesystems/ext_files.h"
#include "vmm/filesystems/partitions.h"

#include <algorithm>

namespace {

class Image final : public vmm::ByteSource {
public:
    explicit Image(vmm::ConstByteSpan bytes) : m_bytes(bytes) { }
    std::uint64_t size() const override { return m_bytes.size(); }
    vmm::Result<> read(std::uint64_t offset, vmm::ByteSpan data) override
    {
        if (offset > m_bytes.size() || data.size() > m_bytes.size() - offset)
            __builtin_trap();
        std::copy_n(m_bytes.begin() + static_cast<std::ptrdiff_t>(offset), data.size(), data.begin());
        return {};
    }

private:
    vmm::ConstByteSpan m_bytes;
};

}

/// A guest's disk: partitions, and the files of what is ext2, ext3 or ext4 there.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    Image disk({ data, size });
    auto const parts = vmm::findPartitions(disk);
    if (!parts)
        __builtin_trap();
    vmm::FileTreeLimits const limits { .files = 1000, .bytesRead = 16u << 20, .goOn = {} };
    for (auto const& part : *parts) {
        vmm::PartSource source(disk, part);
        if (auto const known = vmm::isExt(source); !known || !*known)
            continue;
        auto const files = vmm::listExtFiles(source, limits);
        if (files)
            fuzz::accept();
        if (files && files->size() > limits.files)
            __builtin_trap();
    }
    return 0;
}
