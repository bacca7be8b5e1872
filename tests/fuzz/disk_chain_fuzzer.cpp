#include "tests/fakes/fake_block_file.h"
#include "tests/fuzz/accepted.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/base/log.h"
#include "vmm/block/image.h"

#include <functional>

/// Up to four images that may name each other, and themselves, as what is below them; read all through. The length of
/// a chain of files has a limit of its own, where files are opened by name.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    vmm::setLogLevel(vmm::LogLevel::Off);
    fuzz::Input input(data, size);
    constexpr std::size_t count = 4;
    constexpr unsigned deepest = 8;
    std::vector<std::unique_ptr<tests::FakeDisk>> disks;
    for (std::size_t i = 0; i < count; ++i) {
        auto const bytes = input.takeBytes(i + 1 == count ? size : input.take<std::uint16_t>());
        disks.push_back(std::make_unique<tests::FakeDisk>(vmm::Bytes { bytes.begin(), bytes.end() }));
    }
    vmm::InlineEngine engine;
    unsigned depth = 0;
    std::function<vmm::Result<std::unique_ptr<vmm::BlockImage>>(std::string const&, std::optional<vmm::ImageFormat>)>
        openBelow = [&](std::string const& name,
                        std::optional<vmm::ImageFormat> format) -> vmm::Result<std::unique_ptr<vmm::BlockImage>> {
        if (++depth > deepest)
            return vmm::fail(vmm::ErrorCode::Corrupt, "too deep");
        vmm::ImageOptions options;
        options.access = vmm::Access::ReadOnly;
        options.format = format;
        auto const which = name.empty() ? 0 : static_cast<unsigned char>(name.back()) % count;
        return vmm::BlockImage::open(engine, std::make_unique<tests::FakeBlockFile>(*disks[which]), options, openBelow);
    };
    auto const top = openBelow("0", std::nullopt);
    if (!top)
        return 0;
    fuzz::accept();
    vmm::Bytes buffer(64 << 10);
    auto const length = std::min<std::uint64_t>((*top)->size(), buffer.size());
    for (std::uint64_t offset : { std::uint64_t(0), (*top)->size() / 2 / 512 * 512, (*top)->size() - length })
        ignore((*top)->readSync(offset, vmm::ByteSpan(buffer).first(std::min(length, (*top)->size() - offset))));
    return 0;
}
