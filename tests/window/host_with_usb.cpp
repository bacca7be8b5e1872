#include "tests/host_usb/simulated_usb.h"

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

/// A host with a USB device "Example Loop", whose port is /dev/full: each other program that umockdev-preload is in
/// finds it where the first line says, which is for UMOCKDEV_DIR. Then each line that comes is answered by who has the
/// device, "host" or "machine".
int main()
{
    tests::SimulatedUsbDevice device("1-1", 2);
    device.becomePort();
    std::filesystem::path const directory = std::getenv("UMOCKDEV_DIR");
    // The real KVM is there too, and umockdev does not answer in its place, as it would for each node that it knows
    // not.
    std::filesystem::remove(directory / "dev/kvm");
    std::filesystem::remove(directory / "ioctl/_default");
    std::cout << directory.string() << std::endl;
    for (std::string line; std::getline(std::cin, line);)
        std::cout << (device.hasDriver() ? "host" : "machine") << std::endl;
}
