#include "tests/fuzz/fuzz_input.h"
#include "tests/vmm/usb/usb_guest.h"
#include "vmm/usb/host_usb_device.h"

#include <condition_variable>
#include <libusb.h>
#include <list>
#include <memory>

// libusb as a device that says anything would have it, and a host that fails in any way: lying lengths and counts where
// libusb passes them on, ends of requests with whatever they tell. What libusb itself is sure of holds: an array of
// endpoints is there whole or not at all.

namespace {

constexpr std::array<libusb_error, 16> answers { LIBUSB_ERROR_IO, LIBUSB_ERROR_IO, LIBUSB_ERROR_PIPE, LIBUSB_ERROR_PIPE,
    LIBUSB_ERROR_NOT_FOUND, LIBUSB_ERROR_INVALID_PARAM, LIBUSB_ERROR_ACCESS, LIBUSB_ERROR_NO_DEVICE,
    LIBUSB_ERROR_NOT_FOUND, LIBUSB_ERROR_BUSY, LIBUSB_ERROR_TIMEOUT, LIBUSB_ERROR_OVERFLOW, LIBUSB_ERROR_PIPE,
    LIBUSB_ERROR_NOT_SUPPORTED, LIBUSB_ERROR_OTHER, LIBUSB_ERROR_INTERRUPTED };

/// A configuration as libusb tells it, and the memory of that.
struct Configuration {
    libusb_config_descriptor descriptor {};
    std::list<std::vector<libusb_interface_descriptor>> settings;
    std::list<std::vector<libusb_endpoint_descriptor>> endpoints;
    std::vector<libusb_interface> interfaces;

    explicit Configuration(fuzz::Input& input)
    {
        for (unsigned i = input.take<std::uint8_t>() % 5; i > 0; --i) {
            auto& its = settings.emplace_back(input.take<std::uint8_t>() % 4);
            for (auto& setting : its) {
                setting.bInterfaceNumber = input.take<std::uint8_t>() % 8;
                setting.bAlternateSetting = input.take<std::uint8_t>();
                setting.bInterfaceClass = input.take<std::uint8_t>();
                setting.bNumEndpoints = input.take<std::uint8_t>();
                if (setting.bNumEndpoints % 2 != 0)
                    continue; // it has read none
                setting.bNumEndpoints %= 8;
                for (auto& endpoint : endpoints.emplace_back(setting.bNumEndpoints)) {
                    endpoint.bEndpointAddress = input.take<std::uint8_t>();
                    endpoint.bmAttributes = input.take<std::uint8_t>();
                    endpoint.wMaxPacketSize = input.take<std::uint16_t>();
                }
                setting.endpoint = endpoints.back().data();
            }
            interfaces.push_back({ its.data(), static_cast<int>(its.size()) });
        }
        descriptor.bNumInterfaces = static_cast<std::uint8_t>(interfaces.size());
        descriptor.interface = interfaces.data();
    }
};

/// What the whole of libusb is here. Requests are made and end on the fuzzer's thread; what a device's own thread calls
/// has answers that were drawn before.
struct World {
    explicit World(fuzz::Input& from) : input(from), configuration(from)
    {
        device.bDeviceClass = input.take<std::uint8_t>() & 0x7f;
        device.idVendor = input.take<std::uint16_t>();
        device.idProduct = input.take<std::uint16_t>();
        ports = input.take<std::uint8_t>() % 9 - 1;
        speed = input.take<std::uint8_t>() % 7;
        bytes = input.takeBytes(32);
    }
    int answer()
    {
        constexpr unsigned mostlyWell = 240;
        auto const at = asked++;
        auto const drawn = bytes.empty() ? 0u : bytes[at % bytes.size()];
        return drawn < mostlyWell ? LIBUSB_SUCCESS : answers.at(drawn - mostlyWell);
    }

    fuzz::Input& input;
    Configuration configuration;
    libusb_device_descriptor device {};
    int ports = 0, speed = 0;
    vmm::ConstByteSpan bytes;
    std::atomic<std::size_t> asked = 0;
    std::list<libusb_transfer*> flying;

    std::mutex mutex;
    std::condition_variable changed;
    bool interrupted = false;
};

World* world = nullptr;

template<typename T>
T* pointer()
{
    return reinterpret_cast<T*>(world); // all of these are one thing, and nobody looks into it
}

class Host final : public tests::FakeUsbHost {
public:
    void completed(vmm::UsbTransfer& transfer) override
    {
        FakeUsbHost::completed(transfer);
        m_changed.notify_all();
    }
    bool hasEnded(vmm::UsbTransfer const& transfer) const
    {
        return std::find(ended.begin(), ended.end(), &transfer) != ended.end();
    }
    void waitFor(vmm::UsbTransfer const& transfer)
    {
        std::unique_lock lock(usbMutex());
        m_changed.wait(lock, [&] { return hasEnded(transfer); });
    }

private:
    std::condition_variable m_changed;
};

}

// Who would give the device back for a process that was killed is not started.
namespace vmm {

Result<std::unique_ptr<UsbReturn>> UsbReturn::watch(HostUsbInfo const&, int)
{
    return std::unique_ptr<UsbReturn>();
}

bool UsbReturn::giveBack(std::vector<int> const&, std::function<void()> const&)
{
    return false;
}

UsbReturn::~UsbReturn() = default;

}

extern "C" {

int libusb_init(libusb_context** context)
{
    *context = pointer<libusb_context>();
    return LIBUSB_SUCCESS;
}
void libusb_exit(libusb_context*) { }
int libusb_hotplug_register_callback(
    libusb_context*, int, int, int, int, int, libusb_hotplug_callback_fn, void*, libusb_hotplug_callback_handle*)
{
    return LIBUSB_ERROR_NOT_SUPPORTED;
}
void libusb_hotplug_deregister_callback(libusb_context*, libusb_hotplug_callback_handle) { }
int libusb_handle_events(libusb_context*)
{
    std::unique_lock lock(world->mutex);
    world->changed.wait(lock, [] { return world->interrupted; });
    world->interrupted = false;
    return LIBUSB_SUCCESS;
}
void libusb_interrupt_event_handler(libusb_context*)
{
    std::lock_guard const lock(world->mutex);
    world->interrupted = true;
    world->changed.notify_all();
}
ssize_t libusb_get_device_list(libusb_context*, libusb_device*** list)
{
    static std::array<libusb_device*, 2> devices {};
    devices[0] = pointer<libusb_device>();
    *list = devices.data();
    return 1;
}
void libusb_free_device_list(libusb_device**, int) { }
uint8_t libusb_get_bus_number(libusb_device*)
{
    return 255; // so that sysfs has no such device
}
uint8_t libusb_get_device_address(libusb_device*)
{
    return 255;
}
int libusb_get_device_speed(libusb_device*)
{
    return world->speed;
}
int libusb_get_port_numbers(libusb_device*, uint8_t* numbers, int room)
{
    auto const count = std::min(world->ports, room);
    for (int i = 0; i < count; ++i)
        numbers[i] = 255;
    return count;
}
int libusb_get_device_descriptor(libusb_device*, libusb_device_descriptor* descriptor)
{
    *descriptor = world->device;
    return LIBUSB_SUCCESS;
}
int libusb_get_active_config_descriptor(libusb_device*, libusb_config_descriptor** descriptor)
{
    *descriptor = &world->configuration.descriptor;
    return world->answer();
}
void libusb_free_config_descriptor(libusb_config_descriptor*) { }
int libusb_get_ss_endpoint_companion_descriptor(
    libusb_context*, libusb_endpoint_descriptor const* endpoint, libusb_ss_endpoint_companion_descriptor** companion)
{
    static libusb_ss_endpoint_companion_descriptor found {};
    found.bmAttributes = static_cast<std::uint8_t>(endpoint->wMaxPacketSize);
    *companion = &found;
    return (endpoint->bmAttributes & 0x80) != 0 ? LIBUSB_ERROR_NOT_FOUND : LIBUSB_SUCCESS;
}
void libusb_free_ss_endpoint_companion_descriptor(libusb_ss_endpoint_companion_descriptor*) { }
int libusb_open(libusb_device*, libusb_device_handle** handle)
{
    *handle = pointer<libusb_device_handle>();
    return LIBUSB_SUCCESS;
}
void libusb_close(libusb_device_handle*) { }
libusb_device* libusb_get_device(libusb_device_handle*)
{
    return pointer<libusb_device>();
}
int libusb_get_configuration(libusb_device_handle*, int* value)
{
    *value = world->answer();
    return LIBUSB_SUCCESS;
}
int libusb_set_configuration(libusb_device_handle*, int)
{
    return world->answer();
}
int libusb_claim_interface(libusb_device_handle*, int)
{
    return world->answer();
}
int libusb_release_interface(libusb_device_handle*, int)
{
    return world->answer();
}
int libusb_set_interface_alt_setting(libusb_device_handle*, int, int)
{
    return world->answer();
}
int libusb_clear_halt(libusb_device_handle*, unsigned char)
{
    return world->answer();
}
int libusb_reset_device(libusb_device_handle*)
{
    return world->answer();
}
int libusb_detach_kernel_driver(libusb_device_handle*, int)
{
    return world->answer();
}
int libusb_attach_kernel_driver(libusb_device_handle*, int)
{
    return world->answer();
}
int libusb_kernel_driver_active(libusb_device_handle*, int)
{
    return world->answer() == LIBUSB_SUCCESS ? 0 : 1;
}
int libusb_alloc_streams(libusb_device_handle*, uint32_t count, unsigned char*, int)
{
    auto const code = world->answer();
    return code == LIBUSB_SUCCESS ? static_cast<int>(count) : code;
}
int libusb_free_streams(libusb_device_handle*, unsigned char*, int)
{
    return world->answer();
}
unsigned char* libusb_dev_mem_alloc(libusb_device_handle*, size_t size)
{
    return size % 3 == 0 ? new unsigned char[size] : nullptr;
}
int libusb_dev_mem_free(libusb_device_handle*, unsigned char* memory, size_t)
{
    delete[] memory;
    return LIBUSB_SUCCESS;
}
libusb_transfer* libusb_alloc_transfer(int packets)
{
    auto const size
        = sizeof(libusb_transfer) + static_cast<std::size_t>(packets) * sizeof(libusb_iso_packet_descriptor);
    return static_cast<libusb_transfer*>(std::calloc(1, size));
}
void libusb_free_transfer(libusb_transfer* transfer)
{
    std::free(transfer);
}
void libusb_transfer_set_stream_id(libusb_transfer*, uint32_t) { }
int libusb_submit_transfer(libusb_transfer* transfer)
{
    // What a request is made of is ours to say, and must be right.
    if (transfer->length < 0 || (transfer->type == LIBUSB_TRANSFER_TYPE_CONTROL && transfer->length < 8))
        __builtin_trap();
    for (int i = 0; i < transfer->length; i += 512)
        transfer->buffer[i] ^= 0; // there, for a sanitizer
    auto const code = world->answer();
    if (code == LIBUSB_SUCCESS)
        world->flying.push_back(transfer);
    return code;
}
int libusb_cancel_transfer(libusb_transfer*)
{
    return world->answer(); // it ends when it ends
}
char const* libusb_strerror(int)
{
    return "no";
}
}

namespace {

/// A request ends as the device, or the host, has it.
void land(fuzz::Input& input, std::list<libusb_transfer*>::iterator which)
{
    auto& transfer = **which;
    world->flying.erase(which);
    transfer.status = static_cast<libusb_transfer_status>(input.take<std::uint8_t>() % 7);
    auto const length = input.take<std::int16_t>();
    transfer.actual_length = length % 3 == 0 ? length * 4096 : transfer.length - (length & 0xff) % 3;
    for (int i = 0; i < transfer.num_iso_packets; ++i) {
        transfer.iso_packet_desc[i].status = static_cast<libusb_transfer_status>(input.take<std::uint8_t>() % 7);
        transfer.iso_packet_desc[i].actual_length = input.take<std::uint8_t>() * 1024u;
    }
    transfer.callback(&transfer);
}

}

/// A device of the host's that says anything, while a guest submits, cancels and resets. Nothing is lost, or ends
/// twice.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using Kind = vmm::UsbTransfer::Kind;
    fuzz::Input input(data, size);
    World around(input);
    world = &around;
    auto usb = vmm::HostUsb::open();
    auto const devices = (*usb)->devices();
    if (devices.empty())
        return 0; // it says that it is a hub
    auto const said = input.takeBytes(input.take<std::uint8_t>() % 64);
    std::string_view const text(reinterpret_cast<char const*>(said.data()), said.size());
    if (vmm::plainUsbText(text, text.size() / 2).size() > text.size() / 2)
        __builtin_trap();
    (void)vmm::HostUsbTrace::in(text);
    auto opened = vmm::HostUsbDevice::open(*usb, devices.front(), [] {});
    if (!opened)
        return 0;
    auto& device = **opened;
    Host host;
    device.setHost(&host);
    if (!vmm::HostUsbTrace::in(device.identity()))
        __builtin_trap();
    std::list<tests::Asked> asked;
    auto const submit = [&](Kind kind, std::uint8_t endpoint, vmm::Bytes content,
                            std::array<std::uint8_t, 8> setup) -> vmm::UsbTransfer& {
        auto& transfer = asked.emplace_back(kind, endpoint, std::move(content), setup).transfer;
        std::lock_guard const lock(host.usbMutex());
        device.submit(transfer);
        return transfer;
    };
    // What the device's own thread has to do has been done when this has.
    auto const waitForWork = [&] { host.waitFor(submit(Kind::Control, 0, {}, { 1, 11, 0, 0, 0, 0, 0, 0 })); };
    for (unsigned steps = 0; !input.empty() && steps < 128; ++steps) {
        switch (input.take<std::uint8_t>() % 8) {
        case 0:
        case 1:
        case 2: {
            auto const kind = static_cast<Kind>(input.take<std::uint8_t>() % 4);
            auto const direction = static_cast<std::uint8_t>(input.take<std::uint8_t>() & 0x80);
            auto const number = kind == Kind::Control ? 0 : input.take<std::uint8_t>() % 4 + 1;
            std::array<std::uint8_t, 8> setup {};
            auto const bytes = input.takeBytes(kind == Kind::Control ? 8 : 0);
            std::copy(bytes.begin(), bytes.end(), setup.begin());
            setup[0] = static_cast<std::uint8_t>((setup[0] & 0x7f) | direction);
            // SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE of an endpoint
            static constexpr std::array<std::array<std::uint8_t, 2>, 3> known { { { 0, 9 }, { 1, 11 }, { 2, 1 } } };
            if (direction == 0 && setup[7] % 2 == 0)
                std::copy_n(known.at(setup[7] / 2 % known.size()).begin(), 2, setup.begin());
            auto const length = input.take<std::uint8_t>();
            auto const isLong = kind == Kind::Bulk && length == 255;
            submit(kind, static_cast<std::uint8_t>(direction | number),
                vmm::Bytes(isLong                   ? (2u << 20) + 7
                        : kind == Kind::Isochronous ? length * 16u
                                                    : length),
                setup);
            waitForWork();
            break;
        }
        case 3:
        case 4:
        case 5:
            if (!around.flying.empty()) {
                auto const which = input.take<std::uint8_t>() % around.flying.size();
                land(input, std::next(around.flying.begin(), static_cast<std::ptrdiff_t>(which)));
                waitForWork();
            }
            break;
        case 6:
            if (!asked.empty()) {
                auto& transfer = std::next(asked.begin(), input.take<std::uint8_t>() % std::ssize(asked))->transfer;
                std::lock_guard const lock(host.usbMutex());
                if (!host.hasEnded(transfer))
                    device.cancel(transfer);
            }
            break;
        default: {
            {
                std::lock_guard const lock(host.usbMutex());
                auto const what = input.take<std::uint8_t>();
                if ((what & 1) != 0)
                    device.busReset();
                else
                    (void)device.setStreams(static_cast<std::uint8_t>(0x80 | (what >> 1 & 7)), what >> 4);
            }
            waitForWork();
            break;
        }
        }
    }
    {
        std::lock_guard const lock(host.usbMutex());
        for (auto one = asked.rbegin(); one != asked.rend(); ++one) {
            if (!host.hasEnded(one->transfer))
                device.cancel(one->transfer);
        }
    }
    while (!around.flying.empty()) {
        auto* const transfer = around.flying.front();
        around.flying.pop_front();
        transfer->status = LIBUSB_TRANSFER_CANCELLED;
        transfer->actual_length = 0;
        for (int i = 0; i < transfer->num_iso_packets; ++i)
            transfer->iso_packet_desc[i] = { transfer->iso_packet_desc[i].length, 0, LIBUSB_TRANSFER_ERROR };
        transfer->callback(transfer);
    }
    waitForWork();
    for (auto const& one : asked) {
        if (std::count(host.ended.begin(), host.ended.end(), &one.transfer) != 1)
            __builtin_trap();
    }
    device.setHost(nullptr);
    opened->reset();
    usb->reset();
    return 0;
}
