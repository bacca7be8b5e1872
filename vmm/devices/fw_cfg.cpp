#include "vmm/devices/fw_cfg.h"

#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>
#include <set>

namespace vmm {

namespace {

constexpr std::uint16_t keyWriteMode = 0x4000; // of a protocol that has gone; selects the same item
constexpr std::uint32_t idTraditional = 0x01, idDma = 0x02;
constexpr std::uint32_t dmaError = 0x01, dmaRead = 0x02, dmaSkip = 0x04, dmaSelect = 0x08, dmaWrite = 0x10;
constexpr std::string_view dmaSignature = "QEMU CFG";

/// { control, length: u32, address: u64 }, big-endian.
constexpr std::size_t requestSize = 16;

}

FwCfg::FwCfg(GuestMemory& ram) : m_ram(ram)
{
    add(Signature, { 'Q', 'E', 'M', 'U' });
    addNumber<std::uint32_t>(Id, idTraditional | idDma);
    rebuildDirectory();
}

void FwCfg::add(std::uint16_t key, Bytes contents)
{
    m_items[key] = Item { std::move(contents) };
}

void FwCfg::addFile(std::string name, Bytes contents, Refresh refresh)
{
    assert(name.size() <= maximumName && m_files.size() < maximumFiles);
    m_files[std::move(name)] = Item { std::move(contents), std::move(refresh) };
    nameFiles();
}

void FwCfg::removeFile(std::string const& name)
{
    m_files.erase(name);
    nameFiles();
}

/// As a guest finds them that reads the directory from now on.
void FwCfg::nameFiles()
{
    m_state.files.clear();
    for (auto const& [name, item] : m_files)
        m_state.files.push_back(name);
    rebuildDirectory();
}

/// { count: u32 }, then { size: u32, key: u16, reserved: u16, name: char[56] } for each, big-endian.
void FwCfg::rebuildDirectory()
{
    constexpr std::size_t entrySize = 64;
    Bytes directory(4 + m_state.files.size() * entrySize);
    storeBig(directory, static_cast<std::uint32_t>(m_state.files.size()));
    m_filesByIndex.clear();
    for (auto const& name : m_state.files) {
        auto const index = m_filesByIndex.size();
        auto const entry = ByteSpan(directory).subspan(4 + index * entrySize, entrySize);
        auto const found = m_files.find(name);
        auto* const item = found == m_files.end() ? nullptr : &found->second;
        storeBig(entry, static_cast<std::uint32_t>(item ? item->contents.size() : 0));
        storeBig(entry.subspan(4), static_cast<std::uint16_t>(FirstFile + index));
        std::ranges::copy(name, entry.begin() + 8);
        m_filesByIndex.push_back(item);
    }
    m_items[FileDirectory] = Item { std::move(directory) };
}

void FwCfg::reset()
{
    m_state = {};
    m_stale = false;
    nameFiles();
}

Section FwCfg::save() const
{
    return state::save(m_state);
}

Result<> FwCfg::load(Section const& section)
{
    auto saved = TRY(state::load<State>(section));
    std::set<std::string_view> names;
    for (auto const& name : saved.files) {
        if (name.empty() || name.size() > maximumName || !names.insert(name).second)
            return fail(ErrorCode::Corrupt, fmt::format("{} is no name of a file, or one that is there twice", name));
    }
    bool const tellsFiles = !saved.files.empty(); // before version 3 they were those of the machine
    m_state = std::move(saved);
    m_stale = true;
    tellsFiles ? rebuildDirectory() : nameFiles();
    return {};
}

void FwCfg::select(std::uint16_t key)
{
    m_state.selector = key & ~keyWriteMode;
    m_state.offset = 0;
    m_stale = true;
    selected();
}

/// The item under the selector, or null.
FwCfg::Item* FwCfg::selected()
{
    Item* item = nullptr;
    if (m_state.selector >= FirstFile && m_state.selector < FirstFile + m_filesByIndex.size())
        item = m_filesByIndex[m_state.selector - FirstFile];
    else if (auto const found = m_items.find(m_state.selector); found != m_items.end())
        item = &found->second;
    if (m_stale && item && item->refresh)
        item->refresh(item->contents);
    m_stale = false;
    return item;
}

void FwCfg::advance(Item const* item, std::uint64_t length)
{
    auto const end = item ? item->contents.size() : 0;
    auto const offset = std::min<std::uint64_t>(m_state.offset, end);
    m_state.offset = static_cast<std::uint32_t>(offset + std::min(length, end - offset));
}

void FwCfg::readData(std::uint64_t offset, ByteSpan data)
{
    for (auto& byte : data) {
        if (offset++ == 0) {
            byte = 0xff;
            continue;
        }
        auto const* const item = selected();
        byte = item && m_state.offset < item->contents.size() ? item->contents[m_state.offset] : 0;
        advance(item, 1);
    }
}

void FwCfg::writeData(std::uint64_t offset, ConstByteSpan data)
{
    if (offset == 0 && data.size() == 2)
        select(loadLittle<std::uint16_t>(data));
    else
        trace("fw-cfg", "a write of {} bytes at {} is ignored", data.size(), offset);
}

void FwCfg::readDma(std::uint64_t offset, ByteSpan data)
{
    for (auto& byte : data)
        byte = static_cast<std::uint8_t>(dmaSignature[offset++ % dmaSize]);
}

void FwCfg::writeDma(std::uint64_t offset, ConstByteSpan data)
{
    if (offset == 0 && data.size() == 8) {
        m_state.dmaAddressHigh = 0;
        transfer(loadBig<std::uint64_t>(data));
    } else if (offset == 0 && data.size() == 4) {
        m_state.dmaAddressHigh = loadBig<std::uint32_t>(data);
    } else if (offset == 4 && data.size() == 4) {
        auto const address = std::uint64_t(m_state.dmaAddressHigh) << 32 | loadBig<std::uint32_t>(data);
        m_state.dmaAddressHigh = 0;
        transfer(address);
    } else {
        trace("fw-cfg", "a DMA write of {} bytes at {} is ignored", data.size(), offset);
    }
}

void FwCfg::transfer(GuestAddress request)
{
    auto const answer = [&](std::uint32_t result) {
        std::array<std::uint8_t, 4> bytes;
        storeBig(bytes, result);
        if (!m_ram.write(request, bytes))
            trace("fw-cfg", "nowhere to answer a DMA request at {:#x}", request);
    };
    std::array<std::uint8_t, requestSize> bytes;
    if (request > ~std::uint64_t(0) - requestSize || !m_ram.read(request, bytes))
        return answer(dmaError);
    auto const control = loadBig<std::uint32_t>(bytes);
    auto const length = loadBig<std::uint32_t>(ConstByteSpan(bytes).subspan(4));
    auto const address = loadBig<std::uint64_t>(ConstByteSpan(bytes).subspan(8));

    if (control & dmaSelect)
        select(static_cast<std::uint16_t>(control >> 16));
    auto* const item = selected();
    bool good = true;
    if (control & dmaRead) {
        good = copyToGuest(item, address, length);
    } else if (control & dmaWrite) {
        good = length == 0;
    } else if (control & dmaSkip) {
        advance(item, length);
    }
    answer(good ? 0 : dmaError);
}

/// What is beyond the end of the item reads as zero; false where that is too much, or goes nowhere.
bool FwCfg::copyToGuest(Item const* item, GuestAddress address, std::uint32_t length)
{
    auto const offset = m_state.offset;
    auto const size = item ? item->contents.size() : 0;
    auto const fromItem
        = static_cast<std::uint32_t>(offset < size ? std::min<std::uint64_t>(size - offset, length) : 0);
    constexpr std::uint32_t mostPadding = 1 << 20; // nobody wants as many zeros, and a processor would wait for them
    if (length - fromItem > mostPadding)
        return false;
    if (fromItem != 0 && !m_ram.write(address, ConstByteSpan(item->contents).subspan(offset, fromItem)))
        return false;
    advance(item, fromItem);
    static constexpr std::array<std::uint8_t, 4096> zeros {};
    for (std::uint32_t done = fromItem; done < length;) {
        auto const piece = std::min<std::uint32_t>(length - done, zeros.size());
        if (!m_ram.write(address + done, ConstByteSpan(zeros).first(piece)))
            return false;
        done += piece;
    }
    return true;
}

}
