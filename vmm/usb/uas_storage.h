#pragma once

#include "vmm/usb/usb_disk.h"

#include <deque>

namespace vmm {

/// A memory stick with USB Attached SCSI (INCITS 471, USB Attached SCSI (UAS)) at super speed: a ScsiDisk that has up
/// to `mostTags` commands at once. A command's tag is the number of the streams on which its data and its status go, so
/// that each waits for nobody else.
///
///   pipe     | endpoint | what goes there
///   command  | 01       | information units: COMMAND, TASK MANAGEMENT
///   status   | 82       | SENSE, RESPONSE
///   data in  | 83       |
///   data out | 04       |
///
/// Left out: high speed, where READ READY and WRITE READY take the place of streams; an order of commands (task
/// attributes, priorities), for which an initiator can wait itself.
class UasStorage final : public UsbDisk {
public:
    static constexpr unsigned streamBits = 5, mostTags = 1 << streamBits;
    static constexpr std::size_t mostAnswer = 1024;

    enum class Phase : std::uint8_t { Idle, Data, Status };
    friend constexpr auto stateNames(Phase) { return std::to_array<std::string_view>({ "idle", "data", "status" }); }

    /// What is done under a tag.
    struct Task {
        Phase phase = Phase::Idle;
        std::uint8_t lun = 0;
        bool in = false;          ///< of its data
        std::uint64_t length = 0; ///< bytes
        std::uint64_t done = 0;
        bool fromImage = false; ///< or to it, at `offset`
        std::uint64_t offset = 0;
        bool flush = false; ///< before the status
        Bytes answer;       ///< else
        std::uint8_t status = 0;
        Bytes sense;               ///< of a status that is not good
        bool isManagement = false; ///< a RESPONSE with `response` ends it, once what it ends has ended
        std::uint8_t response = 0;
        bool operator==(Task const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("phase", s.phase);
            v.field("lun", s.lun);
            v.field("in", s.in);
            v.field("length", s.length);
            v.field("done", s.done);
            v.field("fromImage", s.fromImage);
            v.field("offset", s.offset);
            v.field("flush", s.flush);
            v.field("answer", s.answer, state::Max { mostAnswer });
            v.field("status", s.status);
            v.field("sense", s.sense, state::Max { 18 });
            v.field("isManagement", s.isManagement);
            v.field("response", s.response);
        }
    };
    struct State {
        static constexpr std::string_view kind = "usb-uas";
        static constexpr unsigned version = 1;
        UsbStandardState standard;
        ScsiDiskState disk;
        std::array<Task, mostTags> tasks {}; ///< of tags from 1 on
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("standard", s.standard);
            v.field("disk", s.disk);
            v.field("tasks", s.tasks);
        }
    };

    UasStorage(std::string const& id, EventLoop& loop, BlockImage& image, bool readOnly, HostError hostError);

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void resume() override;
    void cancel(UsbTransfer& transfer) override;
    bool setStreams(std::uint8_t, unsigned) override { return true; } // more than there are tags are never used

private:
    /// A tag with its streams, and what the image does for it.
    struct Slot {
        Task task;
        std::deque<UsbTransfer*> dataIn, dataOut, status;
        BlockRequest work;
        std::vector<iovec> buffers;
        UsbTransfer* serving = nullptr; // it has it, or it is kept for it
        bool kept = false;              // the host has refused it
        bool aborted = false;           // what becomes of it is of no interest any more
    };

    void unconfigured() override;
    void data(UsbTransfer& transfer) override;

    bool takeUnit(UsbTransfer& transfer);
    void takeCommand(Slot& slot, ConstByteSpan unit);
    void manageTasks(Slot& slot, ConstByteSpan unit);
    void abort(Slot& slot);
    void serve(Slot& slot);
    void serveAll();
    void moveData(Slot& slot, UsbTransfer& transfer);
    void dataMoved(Slot& slot, UsbTransfer& transfer, std::uint64_t count);
    void sendStatus(Slot& slot, UsbTransfer& transfer);
    void beginWork(
        Slot& slot, UsbTransfer& transfer, BlockRequest::Kind kind, std::uint64_t offset, std::uint64_t length);
    void workDone(Slot& slot, Result<> const& result);
    bool anyIsEnding() const;
    static Result<> checkTask(Task const& task, std::uint64_t diskSize);

    std::array<Slot, mostTags> m_slots;
};

}
