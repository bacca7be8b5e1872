#pragma once

#include "tests/fuzz/fuzz_input.h"
#include "tests/vmm/usb/usb_guest.h"

namespace fuzz {

/// A control request of any kind, with up to 255 bytes of data.
inline void askAnything(Input& input, tests::UsbGuest& guest)
{
    std::array<std::uint8_t, 8> setup {};
    auto const bytes = input.takeBytes(setup.size());
    std::copy(bytes.begin(), bytes.end(), setup.begin());
    setup[7] = 0;
    if ((setup[0] & 0x80) != 0)
        guest.get(setup);
    else
        guest.put(setup, vmm::Bytes(setup[6], setup[2]));
}

}
