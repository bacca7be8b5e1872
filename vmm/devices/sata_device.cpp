#include "vmm/devices/sata_device.h"

#include "vmm/base/iovec.h"

#include <algorithm>

namespace vmm {

void SataCommand::begin()
{
    out = in;
    out.status = SataRegisters::ready;
    out.error = 0;
    transfer = Transfer::None;
    isPacket = isQueued = overflow = fault = false;
    transferred = 0;
    image = nullptr;
    steps.clear();
}

void SataCommand::refuse(std::uint8_t error)
{
    out.status = SataRegisters::ready | SataRegisters::failed;
    out.error = error;
    transferred = 0;
    steps.clear();
}

bool SataCommand::hasMemoryFor(std::uint64_t length)
{
    if (length <= regionBytes)
        return true;
    fault = regionsBroken;
    overflow = !fault;
    refuse(SataRegisters::aborted);
    return false;
}

void SataCommand::answer(Transfer how, ConstByteSpan data)
{
    transfer = how;
    if (data.size() > regionBytes && regionsBroken) {
        fault = true;
        return;
    }
    data = data.first(std::min<std::uint64_t>(data.size(), regionBytes));
    transferred = data.size();
    copyToPieces(regions, 0, data);
    succeed();
}

bool SataCommand::take(Transfer how, ByteSpan data)
{
    transfer = how;
    if (!hasMemoryFor(data.size()))
        return false;
    transferred = data.size();
    copyFromPieces(regions, 0, data);
    return true;
}

void SataCommand::transferImage(
    BlockImage& disk, BlockRequest::Kind kind, std::uint64_t offset, std::uint64_t length, Transfer how)
{
    transfer = how;
    if (!hasMemoryFor(length))
        return;
    image = &disk;
    transferred = length;
    steps.push_back({ kind, offset, length });
    succeed();
}

AtaIdentity::AtaIdentity(std::string_view serial, std::string_view model)
{
    // Padded, the two bytes of each word swapped.
    auto const text = [this](unsigned first, unsigned length, std::string_view what) {
        for (std::size_t i = 0; i < length; ++i)
            m_block[first * 2 + (i ^ 1)] = static_cast<std::uint8_t>(i < what.size() ? what[i] : ' ');
    };
    text(10, 20, serial);
    text(23, 8, "1.0");
    text(27, 40, model);
    word(53, 0x0006); // words 64 to 70 and 88 are valid
    word(63, 0x0007); // multiword DMA 0 to 2
    word(64, 0x0003); // PIO 3 and 4
    for (unsigned i = 65; i <= 68; ++i)
        word(i, 120);  // ns a cycle
    word(88, 0x407f);  // UDMA 0 to 6, 6 is on
    word(222, 0x107f); // serial
}

}
