#pragma once

#include "vmm/usb/usb_disk.h"

#include <deque>

namespace vmm {

/// A memory stick: a ScsiDisk behind the Bulk-Only Transport (Universal Serial Bus Mass Storage Class, Bulk-Only
/// Transport, Revision 1.0, 5 "Command/Data/Status Protocol", 6 "Host/Device Data Transfers"). One command at a time,
/// its data straight between image and guest memory. Where a host asks for more data than there are, the transfer ends
/// short; where it sends more than are wanted, they are swallowed; the residue says so.
class UsbStorage final : public UsbDisk {
public:
    enum class Phase : std::uint8_t { Command, Data, Status, Broken };
    friend constexpr auto stateNames(Phase)
    {
        return std::to_array<std::string_view>({ "command", "data", "status", "broken" });
    }
    static constexpr std::size_t mostAnswer = 1024;

    struct State {
        static constexpr std::string_view kind = "usb-storage";
        static constexpr unsigned version = 1;
        UsbStandardState standard;
        ScsiDiskState disk;
        Phase phase = Phase::Command; ///< Broken: until a reset recovery
        std::uint32_t tag = 0;        ///< of the command
        std::array<std::uint8_t, 16> cdb {};
        bool in = false;             ///< the host wants data, else it has some
        std::uint32_t expected = 0;  ///< bytes that the host has room for, or sends
        std::uint32_t length = 0;    ///< of them, those that the command is about
        std::uint32_t done = 0;      ///< bytes
        std::uint32_t swallowed = 0; ///< bytes that the command did not want
        bool fromImage = false;      ///< or to it, at `offset`
        std::uint64_t offset = 0;
        bool flush = false;      ///< before the status
        Bytes answer;            ///< else
        std::uint8_t status = 0; ///< [bCSWStatus]
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("standard", s.standard);
            v.field("disk", s.disk);
            v.field("phase", s.phase);
            v.field("tag", s.tag);
            v.field("cdb", s.cdb);
            v.field("in", s.in);
            v.field("expected", s.expected);
            v.field("length", s.length);
            v.field("done", s.done);
            v.field("swallowed", s.swallowed);
            v.field("fromImage", s.fromImage);
            v.field("offset", s.offset);
            v.field("flush", s.flush);
            v.field("answer", s.answer, state::Max { mostAnswer });
            v.field("status", s.status, state::Range { 0, 2 });
        }
    };

    UsbStorage(
        UsbSpeed speed, std::string const& id, EventLoop& loop, BlockImage& image, bool readOnly, HostError hostError);

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void resume() override;
    void cancel(UsbTransfer& transfer) override;

private:
    void unconfigured() override;
    void data(UsbTransfer& transfer) override;
    void request(UsbTransfer& transfer) override;
    void haltCleared(std::uint8_t) override;

    void serve();
    bool serveOne();
    void takeCommand(UsbTransfer& transfer);
    void moveData(UsbTransfer& transfer);
    void sendStatus(UsbTransfer& transfer);
    void dataMoved(UsbTransfer& transfer, std::uint64_t count);
    void beginWork(UsbTransfer& transfer, BlockRequest::Kind kind, std::uint64_t offset, std::uint64_t length);
    void workDone(Result<> result);

    State m_state; // but for `standard` and `disk`
    std::deque<UsbTransfer*> m_out, m_in;

    // What the image is doing for a transfer.
    BlockRequest m_work;
    std::vector<iovec> m_buffers;
    UsbTransfer* m_serving = nullptr;
    bool m_working = false;   // it has it, or it is kept for it
    bool m_abandoned = false; // what becomes of it is of no interest any more
    bool m_kept = false;      // the host has refused it
};

}
