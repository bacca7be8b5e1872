#pragma once

#include "vmm/block/image.h"
#include "vmm/state/options.h"

#include <array>
#include <atomic>
#include <optional>
#include <string>

namespace vmm {

/// A SCSI command: what the initiator sent, and what the disk makes of it.
struct ScsiCommand {
    enum class Data : std::uint8_t { None, In, Out };
    static constexpr std::uint8_t good = 0x00, checkCondition = 0x02;

    std::array<std::uint8_t, 16> cdb {};
    std::uint8_t lun = 0;

    Data data = Data::None;
    std::uint64_t length = 0; ///< bytes of data
    Bytes answer;             ///< In: the data, where they are not the image's
    /// What is done on the image: Read and Write with `length` bytes of data from `offset` on; others as a whole.
    std::optional<BlockRequest::Kind> work;
    std::uint64_t offset = 0;
    std::uint64_t extent = 0; ///< bytes that the work is about, where there are no data
    std::uint8_t status = good;
};

struct ScsiDiskState {
    std::uint64_t blocks = 0; ///< of 512 bytes; a restored disk must be as large
    std::uint8_t senseKey = 0, senseCode = 0, senseQualifier = 0;
    bool attention = true; ///< a reset is to be told of first
    bool operator==(ScsiDiskState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("blocks", s.blocks);
        v.field("senseKey", s.senseKey);
        v.field("senseCode", s.senseCode);
        v.field("senseQualifier", s.senseQualifier);
        v.field("attention", s.attention);
    }
};

/// A disk that speaks SCSI (INCITS 513 SPC-4, INCITS 514 SBC-3), as a memory stick does: one logical unit with blocks
/// of 512 bytes. Left out: reservations, mode select, formatting, persistent logs; they are refused by name. A value
/// with functions on it: whoever has the wire carries out the work.
class ScsiDisk {
public:
    static constexpr std::uint64_t blockSize = 512;

    /// `serial`: up to 20 characters.
    ScsiDisk(BlockImage& image, std::string serial, bool readOnly);

    void powerOn();
    /// A reset of the bus.
    void reset() { m_state.attention = true; }
    void begin(ScsiCommand& command);
    BlockImage& image() const { return *m_image; }
    /// Another one of the same size and contents. Any thread.
    void setImage(BlockImage& image) { m_image = &image; }
    bool readOnly() const { return m_readOnly; }

    ScsiDiskState const& state() const { return m_state; }
    Result<> check(ScsiDiskState const& saved) const;
    void load(ScsiDiskState const& saved) { m_state = saved; }
    /// The state of the last command that failed, in fixed format.
    Bytes senseData() const;

private:
    struct Sense {
        std::uint8_t key, code, qualifier;
    };
    void execute(ScsiCommand& command);
    void refuse(ScsiCommand& command, Sense sense);
    void answer(ScsiCommand& command, Bytes data, std::uint64_t allocated);
    void transfer(ScsiCommand& command, BlockRequest::Kind kind, std::uint64_t block, std::uint64_t count);
    void inquiry(ScsiCommand& command);
    void modeSense(ScsiCommand& command, bool wide);
    void readCapacity(ScsiCommand& command, bool wide);
    void readFormatCapacities(ScsiCommand& command);
    void verify(ScsiCommand& command, std::uint64_t block, std::uint64_t count);

    std::atomic<BlockImage*> m_image;
    std::string const m_serial;
    bool const m_readOnly;
    ScsiDiskState m_state;
};

}
