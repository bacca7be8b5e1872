#include "vmm/usb/uas_storage.h"

#include "vmm/base/iovec.h"
#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace vmm {

namespace {

constexpr std::uint8_t commandEndpoint = 0x01, statusEndpoint = 0x82, inEndpoint = 0x83, outEndpoint = 0x04;

// UAS, "Information units (IUs)".
enum Unit : std::uint8_t { CommandUnit = 0x01, SenseUnit = 0x03, ResponseUnit = 0x04, ManagementUnit = 0x05 };
constexpr std::size_t commandSize = 32, managementSize = 16, senseHeader = 16, responseSize = 8;
// Task management functions, and what is responded.
enum Function : std::uint8_t {
    AbortTask = 0x01,
    AbortTaskSet = 0x02,
    ClearTaskSet = 0x04,
    LogicalUnitReset = 0x08,
    NexusReset = 0x10,
    QueryTask = 0x80,
    QueryTaskSet = 0x81
};
enum Response : std::uint8_t {
    FunctionComplete = 0x00,
    InvalidUnit = 0x02,
    NotSupported = 0x04,
    FunctionSucceeded = 0x08,
    IncorrectUnit = 0x09,
    OverlappedTag = 0x0a
};

/// The interface, with each pipe's endpoint, companion (USB 3.0, 9.6.7 "SuperSpeed Endpoint Companion") and usage.
Bytes interface()
{
    struct Pipe {
        std::uint8_t endpoint, usage;
        bool streams;
    };
    constexpr Pipe pipes[] { { commandEndpoint, 1, false }, { statusEndpoint, 2, true }, { inEndpoint, 3, true },
        { outEndpoint, 4, true } };
    Bytes bytes { 9, 4, 0, 0, 4, 8, 6, 0x62, 0 }; // mass storage, SCSI transparent, UAS
    for (auto const& pipe : pipes) {
        std::uint8_t const streams = pipe.streams ? UasStorage::streamBits : 0;
        bytes.insert(bytes.end(), { 7, 5, pipe.endpoint, 2, 0x00, 4, 0, 6, 48, 15, streams, 0, 0 });
        bytes.insert(bytes.end(), { 4, 0x24, pipe.usage, 0 });
    }
    return bytes;
}

/// SAM-4, "Logical unit number (LUN)": ours is the first of a single level; 1 stands for all others.
std::uint8_t lunOf(ConstByteSpan field)
{
    return std::all_of(field.begin(), field.end(), [](std::uint8_t byte) { return byte == 0; }) ? 0 : 1;
}

}

UasStorage::UasStorage(std::string const& id, EventLoop& loop, BlockImage& image, bool readOnly, HostError hostError)
    : UsbDisk(UsbSpeed::Super, "uas", id, interface(), loop, image, readOnly, std::move(hostError))
{
    for (auto& slot : m_slots) {
        slot.work.completed = [this, &slot](Result<> const& result) {
            std::lock_guard const lock(host().usbMutex());
            workDone(slot, result);
        };
    }
}

void UasStorage::reset()
{
    m_standard = {};
    for (auto& slot : m_slots)
        slot.task = {};
    m_disk.powerOn();
    forgetHostError();
}

void UasStorage::unconfigured()
{
    for (auto& slot : m_slots)
        abort(slot);
    m_disk.reset();
}

void UasStorage::resume()
{
    forgetHostError();
    if (!isPlugged())
        return;
    std::lock_guard const lock(host().usbMutex());
    serveAll();
}

void UasStorage::data(UsbTransfer& transfer)
{
    if (transfer.endpoint == commandEndpoint) {
        if (!takeUnit(transfer)) {
            trace("usb-uas", "an information unit that is none");
            halt(commandEndpoint);
            return complete(transfer, UsbStatus::Stall);
        }
        return;
    }
    if (transfer.stream == 0 || transfer.stream > mostTags)
        return complete(transfer, UsbStatus::Stall);
    auto& slot = m_slots[transfer.stream - 1];
    auto& queue = transfer.endpoint == statusEndpoint ? slot.status
        : transfer.endpoint == inEndpoint             ? slot.dataIn
                                                      : slot.dataOut;
    if (&queue == &slot.dataOut && transfer.endpoint != outEndpoint)
        return complete(transfer, UsbStatus::Stall);
    queue.push_back(&transfer);
    serve(slot);
}

void UasStorage::cancel(UsbTransfer& transfer)
{
    auto& slot = m_slots[transfer.stream - 1];
    if (slot.serving == &transfer) {
        if (!slot.kept)
            return; // it ends by itself
        slot.serving = nullptr;
        slot.kept = slot.aborted = false;
    }
    for (auto* queue : { &slot.dataIn, &slot.dataOut, &slot.status })
        std::erase(*queue, &transfer);
    complete(transfer, UsbStatus::Cancelled);
}

/// False where there is nobody to whom an answer could go.
bool UasStorage::takeUnit(UsbTransfer& transfer)
{
    std::array<std::uint8_t, commandSize> unit {};
    auto const size = transfer.copyOut(unit);
    auto const tag = loadBig<std::uint16_t>(ConstByteSpan(unit).subspan(2, 2));
    if (size < 4 || tag == 0 || tag > mostTags)
        return false;
    auto& slot = m_slots[tag - 1];
    bool const isCommand = unit[0] == CommandUnit && size == commandSize && unit[6] == 0;
    bool const isManagement = unit[0] == ManagementUnit && size == managementSize;
    bool const overlaps = slot.task.phase != Phase::Idle || slot.serving;
    if (overlaps || (!isCommand && !isManagement)) {
        abort(slot);
        slot.task.phase = Phase::Status;
        slot.task.isManagement = true;
        slot.task.response = overlaps ? OverlappedTag : InvalidUnit;
    } else if (isCommand) {
        takeCommand(slot, unit);
    } else {
        manageTasks(slot, unit);
    }
    complete(transfer, UsbStatus::Success, transfer.length);
    serveAll();
    return true;
}

void UasStorage::takeCommand(Slot& slot, ConstByteSpan unit)
{
    ScsiCommand command;
    command.lun = lunOf(unit.subspan(8, 8));
    std::copy_n(unit.begin() + 16, command.cdb.size(), command.cdb.begin());
    m_disk.begin(command);
    auto& task = slot.task = {};
    task.lun = command.lun;
    task.in = command.data == ScsiCommand::Data::In;
    task.length = command.length;
    task.fromImage = command.work.has_value() && command.data != ScsiCommand::Data::None;
    task.offset = command.offset;
    task.flush = command.work == BlockRequest::Kind::Flush;
    task.answer = std::move(command.answer);
    task.status = command.status;
    if (command.status != ScsiCommand::good)
        task.sense = m_disk.senseData();
    task.phase = command.data == ScsiCommand::Data::None ? Phase::Status : Phase::Data;
}

/// UAS, "TASK MANAGEMENT IU"; SAM-4, "Task management functions".
void UasStorage::manageTasks(Slot& slot, ConstByteSpan unit)
{
    auto const function = unit[4];
    auto const lun = lunOf(unit.subspan(8, 8));
    auto const tag = loadBig<std::uint16_t>(unit.subspan(6, 2));
    auto* const named = tag >= 1 && tag <= mostTags ? &m_slots[tag - 1] : nullptr;
    auto const isThere = [](Slot const& other) { return other.task.phase != Phase::Idle || other.serving; };
    std::uint8_t response = FunctionComplete;
    switch (lun != 0 && function != NexusReset ? -1 : int(function)) {
    case -1: response = IncorrectUnit; break; // before anything is ended
    case AbortTask:
        if (named && named != &slot)
            abort(*named);
        break;
    case QueryTask: response = named && isThere(*named) ? FunctionSucceeded : FunctionComplete; break;
    case QueryTaskSet:
        response = std::any_of(m_slots.begin(), m_slots.end(), isThere) ? FunctionSucceeded : FunctionComplete;
        break;
    case AbortTaskSet:
    case ClearTaskSet:
    case LogicalUnitReset:
    case NexusReset:
        for (auto& other : m_slots)
            abort(other);
        if (function == LogicalUnitReset || function == NexusReset)
            m_disk.reset();
        break;
    default: response = NotSupported; break;
    }
    slot.task = {};
    slot.task.phase = Phase::Status;
    slot.task.isManagement = true;
    slot.task.response = response;
}

/// Its command is forgotten; what the image does for it still ends.
void UasStorage::abort(Slot& slot)
{
    slot.task = {};
    slot.aborted = slot.serving != nullptr;
}

/// Whether the image still does something for a command that was aborted.
bool UasStorage::anyIsEnding() const
{
    return std::any_of(m_slots.begin(), m_slots.end(), [](Slot const& slot) { return slot.aborted; });
}

void UasStorage::serveAll()
{
    for (auto& slot : m_slots)
        serve(slot);
}

void UasStorage::serve(Slot& slot)
{
    while (!slot.serving && slot.task.phase != Phase::Idle) {
        bool const isData = slot.task.phase == Phase::Data;
        auto& queue = isData ? (slot.task.in ? slot.dataIn : slot.dataOut) : slot.status;
        if (queue.empty() || (slot.task.isManagement && anyIsEnding()))
            return;
        auto& transfer = *queue.front();
        queue.pop_front();
        isData ? moveData(slot, transfer) : sendStatus(slot, transfer);
    }
}

void UasStorage::moveData(Slot& slot, UsbTransfer& transfer)
{
    auto& task = slot.task;
    auto const count = std::min<std::uint64_t>(task.length - task.done, transfer.length);
    if (!task.fromImage || count == 0) {
        if (task.in && count != 0)
            transfer.copyIn(ConstByteSpan(task.answer).subspan(task.done, count));
        return dataMoved(slot, transfer, count);
    }
    constexpr auto block = BlockImage::sectorSize;
    if (task.done % block != 0 || count % block != 0) {
        // An initiator that asks for parts of blocks is in no hurry: the command ends.
        constexpr std::uint8_t abortedCommand = 0x0b, dataPhaseError = 0x4b;
        task.status = ScsiCommand::checkCondition;
        task.sense = { 0x70, 0, abortedCommand, 0, 0, 0, 0, 10, 0, 0, 0, 0, dataPhaseError, 0, 0, 0, 0, 0 };
        task.phase = Phase::Status;
        return complete(transfer, UsbStatus::Success, 0);
    }
    slot.buffers.clear();
    slicePieces(transfer.buffers, 0, count, slot.buffers);
    slot.work.buffers = slot.buffers;
    beginWork(
        slot, transfer, task.in ? BlockRequest::Kind::Read : BlockRequest::Kind::Write, task.offset + task.done, count);
}

void UasStorage::dataMoved(Slot& slot, UsbTransfer& transfer, std::uint64_t count)
{
    auto& task = slot.task;
    if (task.fromImage)
        countMoved(task.in, count);
    task.done += count;
    if (task.done == task.length)
        task.phase = Phase::Status;
    complete(transfer, UsbStatus::Success, count);
}

void UasStorage::sendStatus(Slot& slot, UsbTransfer& transfer)
{
    // Durable before it is told.
    if (slot.task.flush) {
        slot.work.buffers = {};
        return beginWork(slot, transfer, BlockRequest::Kind::Flush, 0, 0);
    }
    auto const task = std::exchange(slot.task, {});
    auto const tag = static_cast<std::uint16_t>(&slot - m_slots.data() + 1);
    Bytes unit(task.isManagement ? responseSize : senseHeader);
    unit[0] = task.isManagement ? ResponseUnit : SenseUnit;
    storeBig(ByteSpan(unit).subspan(2, 2), tag);
    if (task.isManagement) {
        unit[7] = task.response;
    } else {
        unit[6] = task.status;
        storeBig(ByteSpan(unit).subspan(14, 2), static_cast<std::uint16_t>(task.sense.size()));
        unit.insert(unit.end(), task.sense.begin(), task.sense.end());
    }
    complete(transfer, UsbStatus::Success, transfer.copyIn(unit));
}

void UasStorage::beginWork(
    Slot& slot, UsbTransfer& transfer, BlockRequest::Kind kind, std::uint64_t offset, std::uint64_t length)
{
    slot.serving = &transfer;
    slot.kept = slot.aborted = false;
    slot.work.kind = kind;
    slot.work.offset = offset;
    slot.work.length = length;
    submitWork(slot.work);
}

/// With the lock held.
void UasStorage::workDone(Slot& slot, Result<> const& result)
{
    if (!result && !slot.aborted) {
        reportHostError(result.error());
        slot.kept = true; // until it is cancelled, which the pause does
        return;
    }
    auto& transfer = *std::exchange(slot.serving, nullptr);
    if (std::exchange(slot.aborted, false)) {
        complete(transfer, UsbStatus::Cancelled);
        return serveAll(); // who manages tasks may have waited for it
    }
    if (std::exchange(slot.task.flush, false))
        sendStatus(slot, transfer);
    else
        dataMoved(slot, transfer, slot.work.length);
    serve(slot);
}

Section UasStorage::save() const
{
    State state;
    state.standard = m_standard;
    state.disk = m_disk.state();
    for (std::size_t i = 0; i < mostTags; ++i)
        state.tasks[i] = m_slots[i].task;
    return state::save(state);
}

Result<> UasStorage::checkTask(Task const& task, std::uint64_t diskSize)
{
    bool const answered = task.fromImage || !task.in || task.length <= task.answer.size();
    bool const sized = task.done <= task.length && (task.phase != Phase::Data || task.done < task.length);
    constexpr auto block = BlockImage::sectorSize;
    bool const onDisk = !task.fromImage
        || (task.offset <= diskSize && task.length <= diskSize - task.offset && task.offset % block == 0);
    // Data out that go nowhere are in no command.
    bool const wanted = task.phase != Phase::Data || task.fromImage || task.in;
    if (!answered || !sized || !onDisk || !wanted)
        return fail(ErrorCode::Corrupt, "a command whose data are not on the disk");
    return {};
}

Result<> UasStorage::load(Section const& section)
{
    auto saved = TRY(state::load<State>(section));
    TRY(m_disk.check(saved.disk));
    for (auto const& task : saved.tasks)
        TRY(checkTask(task, m_disk.image().size()));
    m_standard = saved.standard;
    m_disk.load(saved.disk);
    for (std::size_t i = 0; i < mostTags; ++i)
        m_slots[i].task = std::move(saved.tasks[i]);
    return {};
}

}
