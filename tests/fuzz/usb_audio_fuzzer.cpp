#include "tests/fakes/fake_audio.h"
#include "tests/fuzz/usb_request.h"
#include "vmm/usb/usb_audio.h"

/// A driver that has gone mad, with streams that open, close and go on in another machine.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeAudio sound;
    vmm::UsbAudio audio("audio", sound);
    tests::UsbGuest guest(audio);
    for (unsigned steps = 0; !input.empty() && steps < 512; ++steps) {
        switch (input.take<std::uint8_t>() % 8) {
        case 0: fuzz::askAnything(input, guest); break;
        case 1: guest.configure(); break;
        case 2: // open or close a stream
            guest.put({ 0x01, 11, static_cast<std::uint8_t>(input.take<std::uint8_t>() % 3), 0,
                static_cast<std::uint8_t>(input.take<std::uint8_t>() % 4), 0, 0, 0 });
            break;
        case 3: { // a volume or a mute of a unit
            auto const bytes = input.takeBytes(4);
            if (bytes.size() == 4)
                guest.put({ 0x21, 1, static_cast<std::uint8_t>(bytes[0] % 4), static_cast<std::uint8_t>(bytes[0] / 64),
                              0, static_cast<std::uint8_t>(bytes[1] % 8), 2, 0 },
                    { bytes[2], bytes[3] });
            break;
        }
        case 4:
            audio.pause();
            if (!audio.load(audio.save()))
                __builtin_trap();
            audio.resume();
            break;
        case 5: {
            std::lock_guard const lock(guest.host.usbMutex());
            audio.setSuspended((input.take<std::uint8_t>() & 1) != 0);
            break;
        }
        case 6: {
            auto const packet = input.takeBytes(input.take<std::uint8_t>());
            sound.heard.clear();
            guest.write(input.take<std::uint8_t>() % 4, { packet.begin(), packet.end() });
            if (sound.heard.size() > 49 || (!sound.heard.empty() && !sound.playing))
                __builtin_trap();
            break;
        }
        default:
            guest.read(static_cast<std::uint8_t>(0x80 + input.take<std::uint8_t>() % 4), input.take<std::uint8_t>());
        }
    }
    return 0;
}
