#include "tests/fakes/fake_block_file.h"
#include "tests/fuzz/accepted.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/base/log.h"
#include "vmm/block/image.h"

namespace {

/// Lists the snapshots, and takes, goes back to or deletes one of them.
void changeSnapshots(vmm::BlockImage& image, std::uint8_t choice)
{
    auto const all = image.snapshots();
    if (choice % 4 == 0 || !all || all->empty()) {
        ignore(image.takeSnapshot({ .id = std::to_string(choice), .name = "fuzz" }));
        return;
    }
    auto const& id = (*all)[choice / 4 % all->size()].id;
    ignore(choice % 4 == 1 ? image.deleteSnapshot(id) : image.applySnapshot(id));
}

}

/// The input is a list of requests and an image. What the requests change of the image, they change in memory.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    vmm::setLogLevel(vmm::LogLevel::Off);
    fuzz::Input input(data, size);
    auto const requests = input.takeBytes(64);
    auto const image = input.takeBytes(size);
    tests::FakeDisk disk({ image.begin(), image.end() });
    vmm::InlineEngine engine;
    vmm::ImageOptions options;
    options.format = vmm::ImageFormat::Qcow2;
    options.access = requests.empty() || requests[0] % 4 != 0 ? vmm::Access::ReadWrite : vmm::Access::ReadOnly;
    // A backing file is one more hostile image: the same bytes, once.
    tests::FakeDisk below({ image.begin(), image.end() });
    auto const openBacking = [&](std::string const&, std::optional<vmm::ImageFormat>) {
        vmm::ImageOptions raw;
        raw.access = vmm::Access::ReadOnly;
        raw.format = vmm::ImageFormat::Raw;
        return vmm::BlockImage::open(engine, std::make_unique<tests::FakeBlockFile>(below), raw, {});
    };
    auto opened = vmm::BlockImage::open(engine, std::make_unique<tests::FakeBlockFile>(disk), options, openBacking);
    if (!opened)
        return 0;
    fuzz::accept();
    auto& qcow2 = **opened;
    if (auto const all = qcow2.snapshots(); all && !all->empty()) {
        tests::FakeDisk same(disk.content);
        auto atSnapshot = options;
        atSnapshot.access = vmm::Access::ReadOnly;
        atSnapshot.snapshot = all->front().id;
        auto const then
            = vmm::BlockImage::open(engine, std::make_unique<tests::FakeBlockFile>(same), atSnapshot, openBacking);
        vmm::Bytes sector(512);
        if (then && (*then)->size() != 0)
            ignore((*then)->readSync(0, sector));
    }
    vmm::Bytes buffer(64 << 10);
    fuzz::Input choices(requests.data(), requests.size());
    while (!choices.empty() && disk.content.size() < (64U << 20)) {
        using Kind = vmm::BlockRequest::Kind;
        auto const choice = choices.take<std::uint8_t>();
        if (choice % 16 == 15) {
            changeSnapshots(qcow2, choices.take<std::uint8_t>());
            continue;
        }
        auto const sectors = qcow2.size() / 512; // a snapshot may have had another size
        if (sectors == 0)
            break;
        auto const offset = choices.take<std::uint32_t>() % sectors * 512;
        auto const length = std::min<std::uint64_t>((choice / 8 + 1) * 2048U, qcow2.size() - offset);
        switch (choice % 8) {
        case 0: ignore(qcow2.runSync(Kind::Flush, 0, 0)); break;
        case 1: ignore(qcow2.runSync(Kind::Discard, offset, length)); break;
        case 2: ignore(qcow2.runSync(Kind::WriteZeroes, offset, length, choice / 8 % 2 == 0)); break;
        case 3:
        case 4: ignore(qcow2.writeSync(offset, vmm::ConstByteSpan(buffer).first(length))); break;
        default: ignore(qcow2.readSync(offset, vmm::ByteSpan(buffer).first(length))); break;
        }
    }
    return 0;
}
