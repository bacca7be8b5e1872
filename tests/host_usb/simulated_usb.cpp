#include "tests/host_usb/simulated_usb.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <libusb.h>
#include <linux/usbdevice_fs.h>
#include <map>
#include <optional>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <umockdev.h>
#include <unistd.h>
#include <utility>

namespace tests {

namespace {

using vmm::Bytes;

constexpr unsigned vendor = 0x1209, product = 0x0001;
constexpr char const* hubPath = "/devices/pci0000:00/0000:00:14.0/usb1";

/// The addresses of those that nobody may open.
struct {
    std::mutex mutex;
    std::set<unsigned> addresses;
} denied;

/// The whole machine as umockdev shows it, with one hub, for as long as the program runs.
UMockdevTestbed* testbed()
{
    static UMockdevTestbed* const made = [] {
        auto* const bed = umockdev_testbed_new();
        auto const hub
            = fmt::format("P: {}\nN: bus/usb/001/001\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: BUSNUM=001\n"
                          "E: DEVNUM=001\nE: DEVNAME=/dev/bus/usb/001/001\nA: busnum=1\\n\nA: devnum=1\\n\n"
                          "A: bConfigurationValue=1\\n\nA: speed=480\\n\nA: maxchild=4\\n\nA: idVendor=1d6b\\n\n"
                          "A: idProduct=0002\\n\nH: descriptors=12010002090001406B1D0200150603010201"
                          "09021900010100E0000904000001090000000705810304000C\n",
                hubPath);
        GError* error = nullptr;
        if (!umockdev_testbed_add_from_string(bed, hub.c_str(), &error))
            g_error("%s", error->message);
        // umockdev never forgets an attempt to open what is not there, as a host without KVM has it, and only has room
        // for 50.
        auto* const root = umockdev_testbed_get_root_dir(bed);
        std::ofstream kvm(std::filesystem::path(root) / "dev/kvm");
        g_free(root);
        return bed;
    }();
    return made;
}

}

struct SimulatedUsbDevice::Private {
    std::string port, node, path;
    unsigned address = 0;
    std::string made; // by the host's drivers: the path of a keyboard, or a serial port
    UMockdevIoctlBase* ioctls = nullptr;
    int fifo = -1;

    mutable std::mutex mutex;
    std::vector<usbdevfs_urb*> pending;
    std::deque<usbdevfs_urb*> done;
    std::vector<std::string> calls;
    std::deque<Bytes> reports;
    Bytes loop, kept, descriptors;
    int error = 0; // of the next bulk URB
    std::uint8_t packets = 0;
    std::deque<IsochronousPacket> script;
    std::optional<unsigned> mayGo; // isochronous packets, while they are held
    std::vector<int> isochronousUrbs, bulkUrbs;
    std::vector<void const*> bulkMemory;
    std::vector<unsigned> bulkStreams;
    std::vector<Bytes> isochronousOut;
    std::map<unsigned, std::set<unsigned>> interfaces; // by configuration
    unsigned configuration = 1;
    std::set<unsigned> drivers, claimed;
    bool halted = false, gone = false, changes = false, hasStreams = true, hangs = false;
    std::condition_variable_any answers;
    std::vector<std::pair<UMockdevIoctlClient*, int>> resetting;
    unsigned refusals = 0;

    void make(std::string const& what, std::string const& description)
    {
        made = fmt::format("{}/{}:1.0/{}", path, port, what);
        GError* failure = nullptr;
        if (!umockdev_testbed_add_from_string(testbed(), fmt::format("P: {}\n{}", made, description).c_str(), &failure))
            g_error("%s", failure->message);
    }

    static gboolean serve(UMockdevIoctlBase*, UMockdevIoctlClient* client, gpointer self)
    {
        auto* const device = static_cast<Private*>(self);
        std::lock_guard const lock(device->mutex);
        auto const request = umockdev_ioctl_client_get_request(client);
        auto const outcome = device->ioctl(request, { umockdev_ioctl_client_get_arg(client) });
        if (request == USBDEVFS_RESET && device->hangs)
            device->resetting.emplace_back(UMOCKDEV_IOCTL_CLIENT(g_object_ref(client)), outcome);
        else
            complete(client, outcome);
        return TRUE;
    }
    static void complete(UMockdevIoctlClient* client, int outcome)
    {
        umockdev_ioctl_client_complete(client, outcome < 0 ? -1 : outcome, outcome < 0 ? -outcome : 0);
    }
    void completeResets()
    {
        for (auto const& [client, outcome] : std::exchange(resetting, {})) {
            complete(client, outcome);
            g_object_unref(client);
        }
    }

    /// What an ioctl comes with.
    struct Argument {
        UMockdevIoctlData* pointer;

        /// In this process.
        template<typename T>
        T* here() const
        {
            return *reinterpret_cast<T**>(pointer->data);
        }
        /// What it points to, in whichever process.
        template<typename T>
        T get() const
        {
            T value {};
            if (auto* const data = umockdev_ioctl_data_resolve(pointer, 0, sizeof value, nullptr)) {
                std::memcpy(&value, data->data, sizeof value);
                umockdev_ioctl_data_unref(data);
            }
            return value;
        }
        template<typename T>
        void set(T value) const
        {
            if (auto* const data = umockdev_ioctl_data_resolve(pointer, 0, sizeof value, nullptr)) {
                umockdev_ioctl_data_update(data, 0, reinterpret_cast<guint8*>(&value), sizeof value);
                umockdev_ioctl_data_unref(data);
            }
        }
    };

    int ioctl(gulong request, Argument argument)
    {
        bool const reaps = request == USBDEVFS_REAPURBNDELAY || request == USBDEVFS_REAPURB;
        if (gone && !reaps && request != USBDEVFS_DISCARDURB)
            return -ENODEV;
        auto const number = [argument] { return argument.get<unsigned>(); };
        switch (request) {
        case USBDEVFS_GET_CAPABILITIES:
            argument.set<std::uint32_t>(
                USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_NO_PACKET_SIZE_LIM | USBDEVFS_CAP_REAP_AFTER_DISCONNECT);
            return 0;
        case USBDEVFS_GET_SPEED: return 3; // high
        case USBDEVFS_CLAIMINTERFACE: return claim(number());
        case USBDEVFS_RELEASEINTERFACE: claimed.erase(number()); return note(fmt::format("release {}", number()));
        case USBDEVFS_SETCONFIGURATION: return setConfiguration(number());
        case USBDEVFS_ALLOC_STREAMS: return streams("alloc-streams", argument);
        case USBDEVFS_FREE_STREAMS: return streams("free-streams", argument);
        case USBDEVFS_SETINTERFACE: {
            auto const set = argument.get<usbdevfs_setinterface>();
            return note(fmt::format("set-interface {} {}", set.interface, set.altsetting));
        }
        case USBDEVFS_CLEAR_HALT:
            note(fmt::format("clear-halt {:02x}", number()));
            answers.wait(mutex, [this] { return !hangs; }); // on the thread that all its ioctls have
            halted = false;
            return 0;
        case USBDEVFS_RESET: note("reset"); return changes ? -ENODEV : 0;
        case USBDEVFS_GETDRIVER: return driver(argument);
        case USBDEVFS_IOCTL: return driverIoctl(argument.get<usbdevfs_ioctl>());
        case USBDEVFS_SUBMITURB: return submit(argument.here<usbdevfs_urb>());
        case USBDEVFS_DISCARDURB: return discard(argument.here<usbdevfs_urb>());
        case USBDEVFS_REAPURB:
        case USBDEVFS_REAPURBNDELAY: return reap(argument.here<usbdevfs_urb*>());
        default: return -ENOTTY;
        }
    }

    int note(std::string call)
    {
        calls.push_back(std::move(call));
        return 0;
    }

    int claim(unsigned interface)
    {
        if (drivers.contains(interface))
            return -EBUSY;
        claimed.insert(interface);
        return note(fmt::format("claim {}", interface));
    }

    /// As the kernel does it: not while an interface is in use, and then drivers look at each new one.
    int setConfiguration(unsigned value)
    {
        if (!claimed.empty())
            return -EBUSY;
        configuration = value;
        drivers = interfaces[value];
        auto const text = fmt::format("{}\n", value);
        umockdev_testbed_set_attribute(testbed(), ("/sys" + path).c_str(), "bConfigurationValue", text.c_str());
        return note(fmt::format("set-configuration {}", value));
    }

    int streams(char const* what, Argument argument)
    {
        // usbdevfs_streams: how many, of how many endpoints, and their addresses. One at a time.
        auto const asked = argument.get<std::array<std::uint8_t, 9>>();
        note(fmt::format("{} {} {:02x}", what, asked[0], asked[8]));
        return hasStreams ? asked[0] : -EINVAL;
    }

    int driver(Argument argument) const
    {
        auto answer = argument.get<usbdevfs_getdriver>();
        if (!drivers.contains(answer.interface))
            return -ENODATA;
        std::strcpy(answer.driver, "usb-storage");
        argument.set(answer);
        return 0;
    }

    int driverIoctl(usbdevfs_ioctl const& what)
    {
        auto const interface = static_cast<unsigned>(what.ifno);
        if (what.ioctl_code == int(USBDEVFS_DISCONNECT))
            return drivers.erase(interface) == 0 ? -ENODATA : note(fmt::format("detach {}", interface));
        if (!interfaces[configuration].contains(interface))
            return -EINVAL;
        if (!drivers.insert(interface).second)
            return -EBUSY;
        return note(fmt::format("attach {}", interface)), 1;
    }

    int submit(usbdevfs_urb* urb)
    {
        if (refusals > 0) {
            --refusals;
            return -ENOMEM;
        }
        if (urb->type != USBDEVFS_URB_TYPE_CONTROL && drivers.contains(0))
            return -EBUSY;
        if (urb->type == USBDEVFS_URB_TYPE_BULK)
            noteBulk(*urb);
        urb->status = -EINPROGRESS;
        urb->actual_length = 0;
        if (urb->type == USBDEVFS_URB_TYPE_ISO) {
            isochronousUrbs.push_back(urb->number_of_packets);
            for (int i = 0; i < urb->number_of_packets; ++i) {
                urb->iso_frame_desc[i].status = -EXDEV; // until it is done, as the kernel has it
                urb->iso_frame_desc[i].actual_length = 0;
            }
        }
        pending.push_back(urb);
        answerAll();
        return 0;
    }

    void noteBulk(usbdevfs_urb const& urb)
    {
        bulkUrbs.push_back(urb.buffer_length);
        bulkMemory.push_back(urb.buffer);
        bulkStreams.push_back(urb.stream_id);
    }

    int discard(usbdevfs_urb* urb)
    {
        if (std::find(pending.begin(), pending.end(), urb) == pending.end())
            return -EINVAL;
        end(urb, -ENOENT, 0);
        return 0;
    }

    int reap(usbdevfs_urb** to)
    {
        if (done.empty())
            return gone ? -ENODEV : -EAGAIN;
        *to = done.front();
        done.pop_front();
        showReadiness();
        return 0;
    }

    void end(usbdevfs_urb* urb, int status, std::size_t length)
    {
        urb->status = status;
        urb->actual_length = static_cast<int>(length);
        std::erase(pending, urb);
        done.push_back(urb);
        showReadiness();
    }

    /// The node is a pipe: full, and so not writable, where there is nothing to reap.
    void showReadiness() const
    {
        std::array<char, 4096> page {};
        if (done.empty())
            while (::write(fifo, page.data(), page.size()) > 0) { }
        else
            while (::read(fifo, page.data(), page.size()) > 0) { }
    }

    void answerAll()
    {
        for (bool answered = true; answered;) {
            answered = false;
            for (auto* const urb : std::vector(pending))
                answered |= answer(urb);
        }
    }

    bool answer(usbdevfs_urb* urb)
    {
        auto* const buffer = static_cast<std::uint8_t*>(urb->buffer);
        auto const size = static_cast<std::size_t>(urb->buffer_length);
        auto const take = [&](Bytes& from) {
            auto const count = std::min(size, from.size());
            std::copy_n(from.begin(), count, buffer);
            from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(count));
            return end(urb, 0, count), true;
        };
        if (urb->type == USBDEVFS_URB_TYPE_CONTROL)
            return control(urb, buffer, size - 8);
        switch (urb->endpoint) {
        case 0x02: loop.insert(loop.end(), buffer, buffer + size); return end(urb, 0, size), true;
        case 0x81:
            if (error != 0)
                return end(urb, std::exchange(error, 0), 0), true;
            if (halted)
                return end(urb, -EPIPE, 0), true;
            return !loop.empty() && take(loop);
        case 0x83: {
            if (reports.empty())
                return false;
            auto report = std::move(reports.front());
            reports.pop_front();
            return take(report);
        }
        case 0x84:
        case 0x05: return isochronous(urb, buffer);
        default: return end(urb, -EPIPE, 0), true;
        }
    }

    bool isochronous(usbdevfs_urb* urb, std::uint8_t* buffer)
    {
        for (int i = 0; i < urb->number_of_packets; ++i) {
            auto& packet = urb->iso_frame_desc[i];
            auto* const data = std::exchange(buffer, buffer + packet.length);
            if (packet.status != static_cast<unsigned>(-EXDEV) || packet.actual_length != 0)
                continue; // before it was held
            if (mayGo && *mayGo == 0)
                return false;
            if (mayGo)
                --*mayGo;
            auto next = IsochronousPacket { urb->endpoint == 0x84 ? 176 : packet.length };
            if (!script.empty()) {
                next = script.front();
                script.pop_front();
            }
            packet.status = static_cast<unsigned>(next.error);
            packet.actual_length = next.error == 0 ? next.length : 0;
            ++packets;
            if (urb->endpoint == 0x84)
                std::fill_n(data, packet.actual_length, packets);
            else
                isochronousOut.emplace_back(data, data + packet.length);
        }
        return end(urb, 0, 0), true;
    }

    bool control(usbdevfs_urb* urb, std::uint8_t* buffer, std::size_t size)
    {
        auto* const data = buffer + 8;
        switch (buffer[0] << 8 | buffer[1]) {
        case 0x8006: { // GET_DESCRIPTOR: device, configuration
            if (buffer[3] == 3 && buffer[2] == 0xee)
                return false;
            auto const& all = descriptors;
            auto const from = buffer[3] == 1 ? all.begin() : all.begin() + 18;
            auto const count = std::min<std::size_t>(size, std::size_t(buffer[3] == 1 ? 18 : all.end() - from));
            std::copy_n(from, count, data);
            return end(urb, 0, count), true;
        }
        case 0xc001:
            for (std::size_t i = 0; i < size; ++i)
                data[i] = static_cast<std::uint8_t>(i);
            return end(urb, 0, size), true;
        case 0x4002: kept.assign(data, data + size); return end(urb, 0, size), true;
        default: return end(urb, -EPIPE, 0), true;
        }
    }
};

Bytes SimulatedUsbDevice::usualDescriptors()
{
    Bytes const endpoints { 7, 5, 0x02, 2, 0, 2, 0, 7, 5, 0x81, 2, 0, 2, 0, 7, 5, 0x83, 3, 8, 0, 4, 7, 5, 0x84, 5, 192,
        0, 1, 7, 5, 0x05, 5, 192, 0, 1 };
    Bytes all { 18, 1, 0, 2, 0, 0, 0, 64, vendor & 0xff, vendor >> 8, product & 0xff, product >> 8, 0, 1, 1, 2, 3, 1 };
    auto const total = static_cast<std::uint8_t>(9 + 2 * (9 + endpoints.size()));
    all.insert(all.end(), { 9, 2, total, 0, 1, 1, 0, 0xa0, 50 });
    for (std::uint8_t const setting : { 0, 1 }) {
        all.insert(all.end(), { 9, 4, 0, setting, 5, 0xff, 0, 0, 0 });
        all.insert(all.end(), endpoints.begin(), endpoints.end());
    }
    return all;
}

namespace {

/// The numbers of the interfaces, by configuration, as far as descriptors can be believed.
std::map<unsigned, std::set<unsigned>> interfacesOf(Bytes const& descriptors)
{
    std::map<unsigned, std::set<unsigned>> found;
    unsigned configuration = 1;
    for (std::size_t at = 18; at + 9 <= descriptors.size(); at += descriptors[at]) {
        if (descriptors[at] == 0)
            break;
        if (descriptors[at + 1] == 2)
            configuration = descriptors[at + 5];
        if (descriptors[at + 1] == 4)
            found[configuration].insert(descriptors[at + 2]);
    }
    found[1].insert(0);
    return found;
}

/// In sysfs each device is below the hub that it is plugged into: "1-1.2" in "1-1".
std::string pathOf(std::string const& port)
{
    std::string path = hubPath;
    for (auto end = port.find('.'); end != std::string::npos; end = port.find('.', end + 1))
        path += "/" + port.substr(0, end);
    return path + "/" + port;
}

}

SimulatedUsbDevice::SimulatedUsbDevice(
    std::string const& port, unsigned address, Bytes const& descriptors, char const* speed)
    : m_private(std::make_unique<Private>())
{
    constexpr std::size_t serialNumber = 16;
    auto& its = *m_private;
    its.descriptors = descriptors;
    its.interfaces = interfacesOf(descriptors);
    its.drivers = its.interfaces[1];
    its.port = port;
    its.address = address;
    its.node = fmt::format("/dev/bus/usb/001/{:03}", address);
    its.path = pathOf(port);
    its.ioctls = umockdev_ioctl_base_new();
    g_signal_connect(its.ioctls, "handle-ioctl", G_CALLBACK(&Private::serve), m_private.get());
    GError* error = nullptr;
    if (!umockdev_testbed_attach_ioctl(testbed(), its.node.c_str(), its.ioctls, &error))
        g_error("%s", error->message);

    gchar* const root = umockdev_testbed_get_root_dir(testbed());
    auto const file = std::filesystem::path(root + its.node);
    g_free(root);
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::remove(file);
    ::mkfifo(file.c_str(), 0600);
    its.fifo = ::open(file.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    its.showReadiness();

    auto const idAt = [&](std::size_t at) {
        return at + 1 < descriptors.size() ? unsigned(descriptors[at] | descriptors[at + 1] << 8) : 0u;
    };
    auto const idVendor = idAt(8), idProduct = idAt(10);
    auto text
        = fmt::format("P: {}\nE: SUBSYSTEM=usb\nE: DRIVER=usb\nE: BUSNUM=001\nE: DEVNUM={:03}\nE: DEVNAME={}\n"
                      "E: DEVTYPE=usb_device\nE: PRODUCT={:x}/{:x}/100\nA: busnum=1\\n\nA: devnum={}\\n\n"
                      "A: bConfigurationValue=1\\n\nA: speed={}\\n\nA: idVendor={:04x}\\n\nA: idProduct={:04x}\\n\n"
                      "A: manufacturer=Example\\n\nA: product=Loop\\n\nA: dev=189:{}\n",
            its.path, address, its.node, idVendor, idProduct, address, speed, idVendor, idProduct, address - 1);
    if (descriptors.size() > serialNumber && descriptors[serialNumber] != 0)
        text += fmt::format("A: serial=S{}\\n\n", address);
    text += "H: descriptors=";
    for (auto const byte : descriptors)
        text += fmt::format("{:02X}", byte);
    text += '\n';
    if (!umockdev_testbed_add_from_string(testbed(), text.c_str(), &error))
        g_error("%s", error->message);
}

SimulatedUsbDevice::~SimulatedUsbDevice()
{
    if (!m_private->gone)
        unplug();
    {
        std::lock_guard const lock(denied.mutex);
        denied.addresses.erase(m_private->address);
    }
    umockdev_testbed_detach_ioctl(testbed(), m_private->node.c_str(), nullptr);
    g_object_unref(m_private->ioctls);
    ::close(m_private->fifo);
}

void SimulatedUsbDevice::unplug()
{
    {
        std::lock_guard const lock(m_private->mutex);
        m_private->gone = true;
        for (auto* const urb : std::vector(m_private->pending))
            m_private->end(urb, -ESHUTDOWN, 0);
    }
    if (!m_private->made.empty())
        umockdev_testbed_remove_device(testbed(), ("/sys" + m_private->made).c_str());
    auto const path = "/sys" + m_private->path;
    umockdev_testbed_uevent(testbed(), path.c_str(), "remove");
    umockdev_testbed_remove_device(testbed(), path.c_str());
}

void SimulatedUsbDevice::typeOnTheHost()
{
    m_private->make("input/input7",
        "E: SUBSYSTEM=input\nA: name=Example Keys\\n\nA: capabilities/key=febeffdfffefffff fffffffffffffffe\\n\n");
}

void SimulatedUsbDevice::denyAccess()
{
    std::lock_guard const lock(denied.mutex);
    denied.addresses.insert(m_private->address);
}

void SimulatedUsbDevice::becomePort()
{
    m_private->make("tty/full", "E: SUBSYSTEM=tty\n");
}

void SimulatedUsbDevice::interrupt(Bytes const& report)
{
    std::lock_guard const lock(m_private->mutex);
    m_private->reports.push_back(report);
    m_private->answerAll();
}

void SimulatedUsbDevice::halt()
{
    std::lock_guard const lock(m_private->mutex);
    m_private->halted = true;
}

void SimulatedUsbDevice::fail(int error)
{
    std::lock_guard const lock(m_private->mutex);
    m_private->error = error;
}

void SimulatedUsbDevice::scriptIsochronous(std::vector<IsochronousPacket> const& packets)
{
    std::lock_guard const lock(m_private->mutex);
    m_private->script.assign(packets.begin(), packets.end());
}

void SimulatedUsbDevice::holdIsochronous(unsigned packets)
{
    std::lock_guard const lock(m_private->mutex);
    m_private->mayGo = packets;
    m_private->answerAll();
}

unsigned SimulatedUsbDevice::passMicroframes(unsigned count)
{
    std::lock_guard const lock(m_private->mutex);
    m_private->mayGo = count;
    m_private->answerAll();
    return std::exchange(*m_private->mayGo, 0u);
}

void SimulatedUsbDevice::letIsochronousGo()
{
    std::lock_guard const lock(m_private->mutex);
    m_private->mayGo.reset();
    m_private->answerAll();
}

std::vector<int> SimulatedUsbDevice::bulkUrbs() const
{
    std::lock_guard const lock(m_private->mutex);
    return m_private->bulkUrbs;
}

std::vector<void const*> SimulatedUsbDevice::bulkMemory() const
{
    std::lock_guard const lock(m_private->mutex);
    return m_private->bulkMemory;
}

std::vector<unsigned> SimulatedUsbDevice::bulkStreams() const
{
    std::lock_guard const lock(m_private->mutex);
    return m_private->bulkStreams;
}

std::vector<int> SimulatedUsbDevice::isochronousUrbs() const
{
    std::lock_guard const lock(m_private->mutex);
    return m_private->isochronousUrbs;
}

std::vector<Bytes> SimulatedUsbDevice::isochronousOut() const
{
    std::lock_guard const lock(m_private->mutex);
    return m_private->isochronousOut;
}

void SimulatedUsbDevice::refuseForMemory(unsigned count)
{
    std::lock_guard const lock(m_private->mutex);
    m_private->refusals = count;
}

void SimulatedUsbDevice::hang()
{
    std::lock_guard const lock(m_private->mutex);
    m_private->hangs = true;
}

void SimulatedUsbDevice::answerAgain()
{
    std::lock_guard const lock(m_private->mutex);
    m_private->hangs = false;
    m_private->answers.notify_all();
    m_private->completeResets();
}

void SimulatedUsbDevice::refuseStreams()
{
    std::lock_guard const lock(m_private->mutex);
    m_private->hasStreams = false;
}

void SimulatedUsbDevice::changeAtReset()
{
    std::lock_guard const lock(m_private->mutex);
    m_private->changes = true;
}

void SimulatedUsbDevice::resetByTheHost()
{
    std::lock_guard const lock(m_private->mutex);
    m_private->claimed.clear();
    for (auto* const urb : std::vector(m_private->pending))
        m_private->end(urb, -ENOENT, 0);
    m_private->drivers = m_private->interfaces[m_private->configuration];
}

void SimulatedUsbDevice::losesDriver(unsigned interface)
{
    std::lock_guard const lock(m_private->mutex);
    m_private->drivers.erase(interface);
}

std::vector<std::string> SimulatedUsbDevice::calls() const
{
    std::lock_guard const lock(m_private->mutex);
    return m_private->calls;
}

bool SimulatedUsbDevice::hasDriver() const
{
    std::lock_guard const lock(m_private->mutex);
    return m_private->drivers.contains(0);
}

std::set<unsigned> SimulatedUsbDevice::drivers() const
{
    std::lock_guard const lock(m_private->mutex);
    return m_private->drivers;
}

std::size_t SimulatedUsbDevice::waiting() const
{
    std::lock_guard const lock(m_private->mutex);
    return m_private->pending.size();
}

Bytes SimulatedUsbDevice::kept() const
{
    std::lock_guard const lock(m_private->mutex);
    return m_private->kept;
}

}

/// libusb's own, but for the nodes that nobody has the right to open.
extern "C" int libusb_open(libusb_device* device, libusb_device_handle** handle)
{
    {
        std::lock_guard const lock(tests::denied.mutex);
        if (tests::denied.addresses.contains(libusb_get_device_address(device)))
            return LIBUSB_ERROR_ACCESS;
    }
    static auto const real = reinterpret_cast<decltype(&libusb_open)>(::dlsym(RTLD_NEXT, "libusb_open"));
    return real(device, handle);
}
