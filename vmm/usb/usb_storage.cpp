#include "vmm/usb/usb_storage.h"

#include "vmm/base/iovec.h"
#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <utility>

namespace vmm {

namespace {

constexpr std::uint8_t inEndpoint = 0x81, outEndpoint = 0x02;
// 5.1 "Command Block Wrapper (CBW)", 5.2 "Command Status Wrapper (CSW)".
constexpr std::uint32_t commandSignature = 0x43425355, statusSignature = 0x53425355;
constexpr std::size_t commandSize = 31, statusSize = 13;
enum Status : std::uint8_t { Passed = 0, Failed = 1, PhaseError = 2 };
// 3.1 "Bulk-Only Mass Storage Reset", 3.2 "Get Max LUN".
constexpr std::uint16_t massStorageReset = 0x21ff, getMaxLun = 0xa1fe;

Bytes interfaceOf(UsbSpeed speed)
{
    bool const super = speed == UsbSpeed::Super;
    Bytes bytes { 9, 4, 0, 0, 2, 8, 6, 0x50, 0 }; // mass storage, SCSI transparent, bulk only
    for (auto const address : { inEndpoint, outEndpoint }) {
        bytes.insert(bytes.end(), { 7, 5, address, 2, 0x00, static_cast<std::uint8_t>(super ? 4 : 2), 0 });
        if (super) // USB 3.0, 9.6.7 "SuperSpeed Endpoint Companion": bursts of 16
            bytes.insert(bytes.end(), { 6, 48, 15, 0, 0, 0 });
    }
    return bytes;
}

}

UsbStorage::UsbStorage(
    UsbSpeed speed, std::string const& id, EventLoop& loop, BlockImage& image, bool readOnly, HostError hostError)
    : UsbDisk(speed, "storage", id, interfaceOf(speed), loop, image, readOnly, std::move(hostError))
{
    m_work.completed = [this](Result<> result) {
        std::lock_guard const lock(host().usbMutex());
        workDone(std::move(result));
    };
}

void UsbStorage::reset()
{
    m_standard = {};
    m_state = {};
    m_disk.powerOn();
    forgetHostError();
}

void UsbStorage::unconfigured()
{
    m_state = {};
    m_disk.reset();
    m_abandoned = m_working;
}

void UsbStorage::resume()
{
    forgetHostError();
    if (!isPlugged())
        return;
    std::lock_guard const lock(host().usbMutex());
    serve();
}

void UsbStorage::request(UsbTransfer& transfer)
{
    switch (transfer.setup[0] << 8 | transfer.setup[1]) {
    case massStorageReset: unconfigured(); return complete(transfer, UsbStatus::Success);
    case getMaxLun: {
        std::uint8_t const last = 0;
        return answer(transfer, { &last, 1 });
    }
    default: return complete(transfer, UsbStatus::Stall);
    }
}

void UsbStorage::haltCleared(std::uint8_t endpoint)
{
    // 5.3.4 "Reset Recovery": the endpoints stay halted until the reset came first.
    if (m_state.phase == Phase::Broken)
        halt(endpoint);
}

void UsbStorage::data(UsbTransfer& transfer)
{
    (transfer.isIn() ? m_in : m_out).push_back(&transfer);
    serve();
}

void UsbStorage::cancel(UsbTransfer& transfer)
{
    if (m_working && m_serving == &transfer && !m_kept)
        return; // it ends by itself
    if (m_serving == &transfer) {
        m_serving = nullptr;
        m_kept = m_working = false;
    }
    std::erase(m_in, &transfer);
    std::erase(m_out, &transfer);
    complete(transfer, UsbStatus::Cancelled);
}

void UsbStorage::serve()
{
    while (!m_working && serveOne())
        ;
}

/// Takes the next transfer; false where there is none that fits.
bool UsbStorage::serveOne()
{
    bool const wantsIn = m_state.phase == Phase::Status || (m_state.phase == Phase::Data && m_state.in);
    auto& from = wantsIn ? m_in : m_out;
    if (m_state.phase == Phase::Broken || from.empty())
        return false;
    auto& transfer = *from.front();
    from.pop_front();
    if (m_state.phase == Phase::Command)
        takeCommand(transfer);
    else if (m_state.phase == Phase::Data)
        moveData(transfer);
    else
        sendStatus(transfer);
    return true;
}

void UsbStorage::takeCommand(UsbTransfer& transfer)
{
    std::array<std::uint8_t, commandSize> wrapper {};
    transfer.copyOut(wrapper);
    auto const field = [&](std::size_t at) { return loadLittle<std::uint32_t>(ConstByteSpan(wrapper).subspan(at, 4)); };
    auto const length = wrapper[14] & 0x1f;
    if (transfer.length != commandSize || field(0) != commandSignature || length == 0 || length > 16) {
        // 6.6.1 "CBW Not Valid".
        trace("usb-storage", "a command that is none");
        m_state = {};
        m_state.phase = Phase::Broken;
        halt(inEndpoint);
        halt(outEndpoint);
        return complete(transfer, UsbStatus::Stall);
    }
    ScsiCommand command;
    std::copy_n(wrapper.begin() + 15, length, command.cdb.begin());
    command.lun = wrapper[13] & 0xf;
    m_disk.begin(command);

    m_state = {};
    m_state.tag = field(4);
    m_state.cdb = command.cdb;
    m_state.expected = field(8);
    m_state.in = (wrapper[12] & 0x80) != 0;
    m_state.status = command.status == ScsiCommand::good ? Passed : Failed;
    bool const wrongWay = command.data != ScsiCommand::Data::None
        && (m_state.expected == 0 || m_state.in != (command.data == ScsiCommand::Data::In));
    // 6.7 "The Thirteen Cases": more or other data than the host is prepared for.
    if (wrongWay || command.length > m_state.expected)
        m_state.status = PhaseError;
    if (!wrongWay) {
        m_state.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(command.length, m_state.expected));
        m_state.fromImage = command.work.has_value() && command.data != ScsiCommand::Data::None;
        m_state.offset = command.offset;
        m_state.answer = std::move(command.answer);
    }
    m_state.phase = m_state.expected != 0 ? Phase::Data : Phase::Status;
    m_state.flush = command.work == BlockRequest::Kind::Flush;
    complete(transfer, UsbStatus::Success, commandSize);
}

void UsbStorage::moveData(UsbTransfer& transfer)
{
    auto const left = m_state.length - m_state.done;
    auto const count = std::min<std::uint64_t>(left, transfer.length);
    if (!m_state.fromImage || count == 0) {
        if (m_state.in && count != 0)
            transfer.copyIn(ConstByteSpan(m_state.answer).subspan(m_state.done, count));
        return dataMoved(transfer, count);
    }
    constexpr auto block = BlockImage::sectorSize;
    auto const at = m_state.offset + m_state.done;
    if (at % block != 0 || count % block != 0) {
        // A host that asks for parts of blocks is in no hurry: the command ends.
        m_state.status = PhaseError;
        m_state.fromImage = false;
        m_state.length = m_state.done;
        return dataMoved(transfer, 0);
    }
    m_buffers.clear();
    slicePieces(transfer.buffers, 0, count, m_buffers);
    m_work.buffers = m_buffers;
    beginWork(transfer, m_state.in ? BlockRequest::Kind::Read : BlockRequest::Kind::Write, at, count);
}

/// The image's part of a transfer.
void UsbStorage::beginWork(UsbTransfer& transfer, BlockRequest::Kind kind, std::uint64_t offset, std::uint64_t length)
{
    m_serving = &transfer;
    m_work.kind = kind;
    m_work.offset = offset;
    m_work.length = length;
    m_working = true;
    m_abandoned = m_kept = false;
    submitWork(m_work);
}

/// With the lock held.
void UsbStorage::workDone(Result<> result)
{
    auto& transfer = *m_serving;
    bool const abandoned = std::exchange(m_abandoned, false);
    if (!result && !abandoned) {
        reportHostError(result.error());
        m_kept = true; // until it is cancelled, which the pause does
        return;
    }
    m_serving = nullptr;
    m_working = false;
    if (abandoned)
        complete(transfer, UsbStatus::Cancelled);
    else if (std::exchange(m_state.flush, false))
        sendStatus(transfer);
    else
        dataMoved(transfer, m_work.length);
    serve();
}

void UsbStorage::dataMoved(UsbTransfer& transfer, std::uint64_t count)
{
    if (m_state.fromImage)
        countMoved(m_state.in, count);
    auto const left = m_state.expected - m_state.done - m_state.swallowed;
    m_state.done += static_cast<std::uint32_t>(count);
    if (m_state.in) {
        // A transfer that ends short says that there is no more.
        if (count < transfer.length || m_state.done >= m_state.expected)
            m_state.phase = Phase::Status;
        return complete(transfer, UsbStatus::Success, count);
    }
    // What is not wanted is swallowed; the residue tells of it.
    auto const taken = std::min<std::uint64_t>(left, transfer.length);
    m_state.swallowed += static_cast<std::uint32_t>(taken - count);
    if (m_state.done + m_state.swallowed >= m_state.expected)
        m_state.phase = Phase::Status;
    complete(transfer, UsbStatus::Success, transfer.length);
}

void UsbStorage::sendStatus(UsbTransfer& transfer)
{
    // Durable before it is told.
    if (m_state.flush) {
        m_work.buffers = {};
        return beginWork(transfer, BlockRequest::Kind::Flush, 0, 0);
    }
    std::array<std::uint8_t, statusSize> wrapper {};
    storeLittle(ByteSpan(wrapper).first(4), statusSignature);
    storeLittle(ByteSpan(wrapper).subspan(4, 4), m_state.tag);
    storeLittle(ByteSpan(wrapper).subspan(8, 4), m_state.expected - m_state.done);
    wrapper[12] = m_state.status;
    m_state = {};
    complete(transfer, UsbStatus::Success, transfer.copyIn(wrapper));
}

Section UsbStorage::save() const
{
    auto state = m_state;
    state.standard = m_standard;
    state.disk = m_disk.state();
    return state::save(state);
}

Result<> UsbStorage::load(Section const& section)
{
    auto saved = TRY(state::load<State>(section));
    TRY(m_disk.check(saved.disk));
    // What has been moved, or was ended in the middle, needs no answer any more.
    bool const answered
        = saved.fromImage || !saved.in || saved.done == saved.length || saved.length <= saved.answer.size();
    bool const inside = answered && saved.done + std::uint64_t(saved.swallowed) <= saved.expected
        && saved.done <= saved.length && saved.length <= saved.expected
        && (!saved.fromImage
            || (saved.offset <= m_disk.image().size() && saved.length <= m_disk.image().size() - saved.offset));
    if (!inside)
        return fail(ErrorCode::Corrupt, "a command whose data are not on the disk");
    m_standard = saved.standard;
    m_disk.load(saved.disk);
    saved.standard = {};
    saved.disk = {};
    m_state = std::move(saved);
    return {};
}

}
