#pragma once

#include "vmm/backends/console.h"
#include "vmm/base/event_loop.h"
#include "vmm/usb/emulated_usb_device.h"

#include <deque>

namespace vmm {

/// A serial port (Universal Serial Bus Class Definitions for Communications Devices, Revision 1.2, and Communications
/// Class Subclass Specification for PSTN Devices, Revision 1.2, "Abstract Control Model"): ttyACM0 of a Linux guest.
/// What is typed waits in the Console until the guest asks for it; the other side is always there (carrier, DSR).
///
///   endpoint | what goes there
///   81       | bytes to the guest
///   02       | bytes from it
///   83       | SERIAL_STATE, once after it was configured
///
/// Left out: breaks, parity and framing errors, and the time that bytes take at a bit rate.
///
/// Threads: as UsbDevice. `loop` is the machine's thread, of which a turn prints no more than the console keeps.
class UsbSerial final : public EmulatedUsbDevice {
public:
    struct State {
        static constexpr std::string_view kind = "usb-serial";
        static constexpr unsigned version = 1;
        UsbStandardState standard;
        std::uint32_t rate = 9600; ///< [dwDTERate]
        std::uint8_t stopBits = 0, parity = 0, dataBits = 8;
        std::uint8_t lines = 0; ///< bit 0: DTR, bit 1: RTS
        bool stateTold = false; ///< the guest knows of carrier and DSR
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("standard", s.standard);
            v.field("rate", s.rate);
            v.field("stopBits", s.stopBits);
            v.field("parity", s.parity);
            v.field("dataBits", s.dataBits);
            v.field("lines", s.lines, state::Range { 0, 3 });
            v.field("stateTold", s.stateTold);
        }
    };

    UsbSerial(std::string const& id, EventLoop& loop, Console& console);
    ~UsbSerial() override;

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void cancel(UsbTransfer& transfer) override;

private:
    void unconfigured() override;
    void data(UsbTransfer& transfer) override;
    void request(UsbTransfer& transfer) override;
    void typed();
    void serve();
    void print();
    void printOn();
    void tellState();

    EventLoop& m_loop;
    Console& m_console;
    State m_state; // but for `standard`
    std::deque<UsbTransfer*> m_reading, m_writing, m_notifying;
    std::uint64_t m_printed = 0; // since printOn(), which is posted when that is enough
    std::vector<iovec> m_pieces;
    std::shared_ptr<int> m_alive = std::make_shared<int>(); // tasks that were posted look whether it is
};

}
