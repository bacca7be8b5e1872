#include "vmm/usb/host_usb.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <libusb.h>
#include <pthread.h>

namespace vmm {

namespace {

namespace files = std::filesystem;

constexpr std::uint8_t hubClass = 0x09;
constexpr int mostPorts = 7; // of a path: USB 2.0, 4.1.1 "Bus Topology"

struct DeviceList {
    explicit DeviceList(libusb_context* context) : count(libusb_get_device_list(context, &devices)) { }
    ~DeviceList()
    {
        if (count >= 0)
            libusb_free_device_list(devices, 1);
    }
    DeviceList(DeviceList const&) = delete;
    DeviceList& operator=(DeviceList const&) = delete;
    libusb_device** begin() const { return devices; }
    libusb_device** end() const { return devices + std::max<ssize_t>(count, 0); }

    libusb_device** devices = nullptr;
    ssize_t count;
};

std::string portOf(libusb_device* device)
{
    std::array<std::uint8_t, mostPorts> numbers {};
    auto const count = libusb_get_port_numbers(device, numbers.data(), numbers.size());
    if (count <= 0)
        return fmt::format("usb{}", libusb_get_bus_number(device));
    return fmt::format(
        "{}-{}", libusb_get_bus_number(device), fmt::join(numbers.begin(), numbers.begin() + count, "."));
}

UsbSpeed speedOf(libusb_device* device)
{
    switch (libusb_get_device_speed(device)) {
    case LIBUSB_SPEED_LOW: return UsbSpeed::Low;
    case LIBUSB_SPEED_HIGH: return UsbSpeed::High;
    case LIBUSB_SPEED_SUPER:
    case LIBUSB_SPEED_SUPER_PLUS: return UsbSpeed::Super;
    default: return UsbSpeed::Full;
    }
}

/// One line that the kernel has read from the device when it was plugged in: asking it again would need rights.
std::string attribute(files::path const& device, char const* name)
{
    std::ifstream file(device / name);
    std::string text;
    std::getline(file, text);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\0'))
        text.pop_back();
    return plainUsbText(text, 256);
}

/// Documentation/ABI/testing/sysfs-bus-usb: an interface's directory is the device's name, ':', configuration, number;
/// below it each driver has what it has made, down to a directory with "dev", whose "uevent" has the name of the node.
std::vector<std::string> nodesOf(files::path const& device)
{
    constexpr int deepest = 8;
    std::vector<std::string> nodes;
    std::error_code error;
    for (files::recursive_directory_iterator at(device, error), end; !error && at != end; at.increment(error)) {
        auto const name = at->path().filename().string();
        bool const isOther = at.depth() == 0 && at->is_directory() && name.find(':') == std::string::npos;
        if (isOther || at.depth() >= deepest)
            at.disable_recursion_pending(); // what is plugged into a hub is its own
        if (at.depth() == 0 || name != "uevent" || !files::exists(at->path().parent_path() / "dev"))
            continue;
        std::ifstream file(at->path());
        for (std::string line; std::getline(file, line);) {
            if (line.starts_with("DEVNAME="))
                nodes.push_back("/dev/" + line.substr(8));
        }
    }
    std::sort(nodes.begin(), nodes.end());
    return nodes;
}

std::vector<std::uint8_t> interfaceClassesOf(libusb_device* device)
{
    std::vector<std::uint8_t> classes;
    libusb_config_descriptor* configuration = nullptr;
    if (libusb_get_active_config_descriptor(device, &configuration) != LIBUSB_SUCCESS)
        return classes;
    for (unsigned i = 0; i < configuration->bNumInterfaces; ++i) {
        auto const& interface = configuration->interface[i];
        if (interface.num_altsetting > 0)
            classes.push_back(interface.altsetting[0].bInterfaceClass);
    }
    libusb_free_config_descriptor(configuration);
    std::sort(classes.begin(), classes.end());
    classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
    return classes;
}

bool isSame(libusb_device* device, HostUsbInfo const& info)
{
    libusb_device_descriptor descriptor {};
    return libusb_get_bus_number(device) == info.bus && libusb_get_device_address(device) == info.address
        && libusb_get_device_descriptor(device, &descriptor) == LIBUSB_SUCCESS && descriptor.idVendor == info.vendor
        && descriptor.idProduct == info.product;
}

HostUsbInfo infoOf(libusb_device* device)
{
    HostUsbInfo info;
    info.bus = libusb_get_bus_number(device);
    info.address = libusb_get_device_address(device);
    info.port = portOf(device);
    info.speed = speedOf(device);
    libusb_device_descriptor descriptor {};
    if (libusb_get_device_descriptor(device, &descriptor) == LIBUSB_SUCCESS) {
        info.vendor = descriptor.idVendor;
        info.product = descriptor.idProduct;
        info.deviceClass = descriptor.bDeviceClass;
    }
    info.interfaceClasses = interfaceClassesOf(device);
    auto const directory = files::path("/sys/bus/usb/devices") / info.port;
    info.manufacturer = attribute(directory, "manufacturer");
    info.name = attribute(directory, "product");
    info.serial = attribute(directory, "serial");
    return info;
}

}

std::string HostUsbInfo::node() const
{
    return fmt::format("/dev/bus/usb/{:03}/{:03}", bus, address);
}

bool HostUsbInfo::isHub() const
{
    return deviceClass == hubClass;
}

std::string plainUsbText(std::string_view text, std::size_t most)
{
    std::string plain;
    for (std::size_t at = 0; at < text.size();) {
        // RFC 3629, 4 "Syntax of UTF-8 Byte Sequences"
        auto const first = static_cast<std::uint8_t>(text[at]);
        std::size_t const length = first < 0x80 ? 1
            : first < 0xc2                      ? 0
            : first < 0xe0                      ? 2
            : first < 0xf0                      ? 3
            : first < 0xf5                      ? 4
                                                : 0;
        std::uint32_t code = length == 1 ? first : first & (0x7fu >> length);
        bool isWhole = length > 0 && at + length <= text.size();
        for (std::size_t i = 1; isWhole && i < length; ++i) {
            auto const byte = static_cast<std::uint8_t>(text[at + i]);
            isWhole = (byte & 0xc0) == 0x80;
            code = code << 6 | (byte & 0x3fu);
        }
        bool const isOverlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
        bool const isCharacter = isWhole && !isOverlong && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        bool const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
        auto const shown = isCharacter && !isControl ? text.substr(at, length) : std::string_view("?");
        if (plain.size() + shown.size() > most)
            break;
        plain += shown;
        at += isCharacter ? length : 1;
    }
    return plain;
}

Error hostUsbError(std::string what, int libusbCode)
{
    auto const code = [&] {
        switch (libusbCode) {
        case LIBUSB_ERROR_ACCESS: return ErrorCode::PermissionDenied;
        case LIBUSB_ERROR_NO_DEVICE: return ErrorCode::Disconnected;
        case LIBUSB_ERROR_NOT_FOUND: return ErrorCode::NotFound;
        case LIBUSB_ERROR_BUSY: return ErrorCode::Busy;
        case LIBUSB_ERROR_TIMEOUT: return ErrorCode::TimedOut;
        case LIBUSB_ERROR_NO_MEM: return ErrorCode::OutOfMemory;
        case LIBUSB_ERROR_NOT_SUPPORTED: return ErrorCode::Unsupported;
        case LIBUSB_ERROR_INTERRUPTED: return ErrorCode::Cancelled;
        default: return ErrorCode::IoError;
        }
    }();
    return { code, fmt::format("{}: {}", std::move(what), libusb_strerror(libusbCode)), 0 };
}

/// In the list of whom to call, for as long as it is there.
class HostUsb::Registration final : public Listener {
public:
    Registration(HostUsb& usb, Changed changed) : m_usb(usb), m_changed(std::move(changed))
    {
        std::lock_guard const lock(m_usb.m_mutex);
        m_usb.m_listeners.push_back(this);
    }
    ~Registration() override
    {
        std::lock_guard const lock(m_usb.m_mutex);
        std::erase(m_usb.m_listeners, this);
    }
    void call() const { m_changed(); }

private:
    HostUsb& m_usb;
    Changed m_changed;
};

Result<std::shared_ptr<HostUsb>> HostUsb::open()
{
    libusb_context* context = nullptr;
    if (auto const code = libusb_init(&context); code != LIBUSB_SUCCESS)
        return fail(hostUsbError("this host's USB cannot be used", code));
    return std::shared_ptr<HostUsb>(new HostUsb(context));
}

HostUsb::HostUsb(libusb_context* context) : m_context(context)
{
    auto const callback = [](libusb_context*, libusb_device*, libusb_hotplug_event, void* self) -> int {
        static_cast<HostUsb*>(self)->changed();
        return 0;
    };
    // Where it cannot be had, devices() is still right whenever somebody asks.
    libusb_hotplug_register_callback(m_context, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT,
        0, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, callback, this, &m_callback);
    m_thread = std::thread([this] { takeEvents(); });
}

HostUsb::~HostUsb()
{
    m_stop = 1;
    libusb_hotplug_deregister_callback(m_context, m_callback);
    libusb_interrupt_event_handler(m_context);
    m_thread.join();
    m_known.clear();
    libusb_exit(m_context);
}

void HostUsb::takeEvents()
{
    ::pthread_setname_np(::pthread_self(), "usb events");
    while (m_stop == 0) {
        libusb_handle_events(m_context);
        std::lock_guard const lock(m_mutex);
        ++m_turns;
        m_turned.notify_all();
    }
}

void HostUsb::settle()
{
    std::unique_lock lock(m_mutex);
    auto const turn = m_turns;
    lock.unlock();
    libusb_interrupt_event_handler(m_context);
    lock.lock();
    m_turned.wait(lock, [&] { return m_turns != turn; });
}

void HostUsb::changed()
{
    std::lock_guard const lock(m_mutex);
    for (auto const* listener : m_listeners)
        listener->call();
}

std::unique_ptr<HostUsb::Listener> HostUsb::listen(Changed changed)
{
    return std::make_unique<Registration>(*this, std::move(changed));
}

/// Linux, drivers/usb/core/sysfs.c, manufacturer_show() and its neighbours, usb_lock_device_interruptible().
std::vector<HostUsbInfo> HostUsb::devices() const
{
    std::vector<Known> before, all;
    {
        std::lock_guard const lock(m_knownMutex);
        before = m_known;
    }
    for (auto* const device : DeviceList(m_context)) {
        auto const known = std::ranges::find(before, device, [](auto const& one) { return one.device.get(); });
        if (known != before.end())
            all.push_back(*known);
        else
            all.push_back({ { libusb_ref_device(device), &libusb_unref_device }, infoOf(device) });
    }
    {
        std::lock_guard const lock(m_knownMutex);
        m_known.clear();
        // One that has no configuration gets it soon.
        std::ranges::copy_if(
            all, std::back_inserter(m_known), [](auto const& one) { return !one.info.interfaceClasses.empty(); });
    }
    std::vector<HostUsbInfo> found;
    for (auto& [device, info] : all) {
        if (info.isHub())
            continue;
        info.nodes = nodesOf(files::path("/sys/bus/usb/devices") / info.port);
        found.push_back(std::move(info));
    }
    std::sort(found.begin(), found.end(), [](auto const& one, auto const& other) { return one.port < other.port; });
    return found;
}

bool HostUsb::isThere(HostUsbInfo const& info) const
{
    DeviceList const all(m_context);
    return std::any_of(all.begin(), all.end(), [&](auto* device) { return isSame(device, info); });
}

void HostUsb::HandleCloser::operator()(libusb_device_handle* handle) const
{
    libusb_close(handle);
}

Result<HostUsb::Handle> HostUsb::openDevice(HostUsbInfo const& info) const
{
    for (auto* const device : DeviceList(m_context)) {
        if (!isSame(device, info))
            continue;
        libusb_device_handle* handle = nullptr;
        auto const code = libusb_open(device, &handle);
        if (code == LIBUSB_SUCCESS)
            return Handle(handle);
        if (code == LIBUSB_ERROR_ACCESS) {
            return fail(ErrorCode::PermissionDenied,
                fmt::format("no right to use {}; with Chronovisor's udev rule whoever sits at this host has it, until "
                            "it is plugged out this does it too: sudo setfacl -m u:$USER:rw {}",
                    info.node(), info.node()));
        }
        return fail(hostUsbError(fmt::format("{} cannot be opened", info.node()), code));
    }
    return fail(ErrorCode::NotFound,
        fmt::format("the USB device {:04x}:{:04x} is not at port {} any more", info.vendor, info.product, info.port));
}

}
