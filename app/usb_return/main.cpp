#include <algorithm>
#include <bitset>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <linux/usbdevice_fs.h>
#include <optional>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/// chronovisor-usb-return PORT BUS ADDRESS CONFIGURATION: waits beside the program that has this USB device for a
/// machine. Where that ends without a word on standard input, it was killed, and the device is given back to the host's
/// drivers; likewise where it asks for that (Linux, Documentation/driver-api/usb/usb.rst, "The USB character device
/// nodes"): nobody else would.
namespace {

constexpr int interfaces = 256; // as many as can be numbered

struct Device {
    std::string port;
    unsigned bus = 0, address = 0;
    int configuration = 0;
};

/// A number that the kernel tells of what is at the port now; 0 where it tells none.
int attribute(Device const& device, char const* name)
{
    int value = 0;
    std::ifstream(fmt::format("/sys/bus/usb/devices/{}/{}", device.port, name)) >> value;
    return value;
}

/// Nothing where the interface has none, or is none.
std::string driverOf(int node, int interface)
{
    usbdevfs_getdriver driver {};
    driver.interface = static_cast<unsigned>(interface);
    if (::ioctl(node, USBDEVFS_GETDRIVER, &driver) != 0)
        return {};
    return { std::begin(driver.driver), std::find(std::begin(driver.driver), std::end(driver.driver), '\0') };
}

/// Whether no program has any of it: the one that was killed may take a moment to die.
bool becomesFree(int node)
{
    constexpr int tries = 250;
    constexpr useconds_t between = 20'000;
    for (int i = 0; i < tries; ++i, ::usleep(between)) {
        bool taken = false;
        for (int interface = 0; interface < interfaces; ++interface)
            taken = taken || driverOf(node, interface) == "usbfs";
        if (!taken)
            return true;
    }
    return false;
}

/// What a guest has made of it is nothing that a driver here would expect, so it begins anew.
int giveBack(Device const& device, int node, std::bitset<interfaces> const& wanted)
{
    if (!becomesFree(node))
        return 1;
    int configuration = device.configuration == 0 ? -1 : device.configuration;
    if (attribute(device, "bConfigurationValue") != device.configuration)
        ::ioctl(node, USBDEVFS_SETCONFIGURATION, &configuration);
    ::ioctl(node, USBDEVFS_RESET, nullptr);
    for (int interface = 0; interface < interfaces; ++interface) {
        usbdevfs_ioctl connect {};
        connect.ifno = interface;
        connect.ioctl_code = static_cast<int>(USBDEVFS_CONNECT);
        if (wanted[static_cast<std::size_t>(interface)] && driverOf(node, interface).empty())
            ::ioctl(node, USBDEVFS_IOCTL, &connect);
    }
    return 0;
}

/// The next word of who started us; nothing when that has ended, or has nothing more to say.
std::optional<unsigned char> hear()
{
    unsigned char word = 0;
    ssize_t got = -1;
    while ((got = ::read(STDIN_FILENO, &word, 1)) < 0 && errno == EINTR) { }
    return got == 1 ? std::optional(word) : std::nullopt;
}

bool read(char const* text, auto& into)
{
    auto const* const end = text + std::strlen(text);
    auto const [stopped, error] = std::from_chars(text, end, into);
    return error == std::errc() && stopped == end;
}

}

int main(int argc, char** argv)
{
    struct stat status { };
    Device device;
    if (argc != 5 || ::fstat(STDIN_FILENO, &status) != 0 || !S_ISSOCK(status.st_mode) || !read(argv[2], device.bus)
        || !read(argv[3], device.address) || !read(argv[4], device.configuration)) {
        std::fprintf(
            stderr, "chronovisor-usb-return is started by Chronovisor, for a USB device that a machine has.\n");
        return 2;
    }
    device.port = argv[1];
    // What ends a whole session is not to end us before the program that we wait for.
    for (int const number : { SIGHUP, SIGINT, SIGTERM })
        std::signal(number, SIG_IGN);
    if (::chdir("/") != 0)
        return 1;
    constexpr unsigned char allIsWell = 'w', giveItBack = 'g', isOpen = 'o';
    auto const word = hear();
    if (word == allIsWell)
        return 0;
    if (attribute(device, "busnum") != static_cast<int>(device.bus)
        || attribute(device, "devnum") != static_cast<int>(device.address))
        return 0; // it was plugged out, and whatever is there has its drivers
    auto const path = fmt::format("/dev/bus/usb/{:03}/{:03}", device.bus, device.address);
    auto const node = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (node < 0)
        return 1;
    std::bitset<interfaces> wanted;
    wanted.set(); // which of them had a driver nobody tells
    if (word == giveItBack) {
        (void)::send(STDIN_FILENO, &isOpen, 1, MSG_NOSIGNAL);
        if (hear()) // when it is closed there: how many they are
            wanted.reset();
        while (auto const interface = hear())
            wanted.set(*interface);
    }
    return giveBack(device, node, wanted);
}
