#include "app/media/medium.h"

#include "vmm/base/bytes.h"
#include "vmm/base/unique_fd.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace app {

namespace {

constexpr std::size_t isoSector = 2048;

class File {
public:
    static vmm::Result<File> open(std::string const& path)
    {
        // Not waiting for the writer of a FIFO.
        File file(TRY(vmm::openFile(path, O_RDONLY | O_NONBLOCK)));
        struct stat status { };
        if (::fstat(file.m_fd.get(), &status) != 0)
            return vmm::failOs(fmt::format("reading {}", path));
        if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
            return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("{} is neither a file nor a disk", path));
        auto const end = ::lseek(file.m_fd.get(), 0, SEEK_END);
        if (end < 0)
            return vmm::failOs(fmt::format("reading {}", path));
        file.m_size = static_cast<std::uint64_t>(end);
        return file;
    }

    std::uint64_t size() const { return m_size; }

    /// Zeroes stand for what is beyond the end or cannot be read: they are no format's mark.
    vmm::Bytes at(std::uint64_t offset, std::size_t length) const
    {
        vmm::Bytes data(length);
        if (offset >= m_size)
            return data;
        for (std::size_t done = 0; done < length;) {
            auto const got = ::pread(m_fd.get(), data.data() + done, length - done, static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                break;
            done += static_cast<std::size_t>(got);
        }
        return data;
    }

    std::string textAt(std::uint64_t offset, std::size_t length) const
    {
        auto const data = at(offset, length);
        return { data.begin(), data.end() };
    }

private:
    explicit File(vmm::UniqueFd fd) : m_fd(std::move(fd)) { }
    vmm::UniqueFd m_fd;
    std::uint64_t m_size = 0;
};

template<typename T>
T little(File const& file, std::uint64_t offset)
{
    return vmm::loadLittle<T>(file.at(offset, sizeof(T)));
}

template<typename T>
T big(File const& file, std::uint64_t offset)
{
    return vmm::loadBig<T>(file.at(offset, sizeof(T)));
}

/// Printable ASCII, without the blanks at its end.
std::string cleaned(std::string text)
{
    text.resize(text.find('\0') == std::string::npos ? text.size() : text.find('\0'));
    for (auto& c : text) {
        if (c < ' ' || c > '~')
            c = '?';
    }
    text.resize(text.find_last_not_of(' ') + 1);
    return text;
}

/// El Torito 1.0, figure 2 "Validation entry", figure 3 "Initial/Default entry", figure 4 "Section header entry".
void readBootCatalog(File const& file, std::uint64_t offset, Medium& medium)
{
    auto const catalog = file.at(offset, isoSector);
    if (catalog[0] != 1 || catalog[30] != 0x55 || catalog[31] != 0xaa)
        return;
    std::uint8_t platform = catalog[1];
    for (std::size_t entry = 32; entry + 32 <= catalog.size(); entry += 32) {
        if (catalog[entry] == 0x90 || catalog[entry] == 0x91) {
            platform = catalog[entry + 1];
        } else if (catalog[entry] == 0x88) {
            medium.bootsBios |= platform == 0;
            medium.bootsUefi |= platform == 0xef; // UEFI 2.9, 13.3.2.1 "ISO-9660 and El Torito"
        }
    }
}

/// ECMA-119, 8.4 "Primary Volume Descriptor": the descriptors lie from sector 16 on.
bool readIso(File const& file, Medium& medium)
{
    if (file.textAt(16 * isoSector + 1, 5) != "CD001")
        return false;
    medium.kind = MediumKind::Iso;
    for (std::uint64_t sector = 16; sector < 48; ++sector) {
        auto const type = little<std::uint8_t>(file, sector * isoSector);
        if (type == 255 || file.textAt(sector * isoSector + 1, 5) != "CD001")
            break;
        if (type == 1)
            medium.label = cleaned(file.textAt(sector * isoSector + 40, 32));
        else if (type == 0 && file.textAt(sector * isoSector + 7, 23) == "EL TORITO SPECIFICATION")
            readBootCatalog(file, little<std::uint32_t>(file, sector * isoSector + 0x47) * isoSector, medium);
    }
    return true;
}

/// Linux, Documentation/x86/boot.rst, "The Real-Mode Kernel Header".
bool readLinux(File const& file, Medium& medium)
{
    if (file.textAt(0x202, 4) != "HdrS")
        return false;
    medium.kind = MediumKind::Kernel;
    if (auto const version = little<std::uint16_t>(file, 0x20e); version != 0)
        medium.label = cleaned(file.textAt(version + 0x200u, 80));
    return true;
}

/// An x86 ELF; whether it has the PVH entry is found out in its notes, by who loads it.
bool readElf(File const& file, Medium& medium)
{
    if (file.textAt(0, 4)
        != "\x7f"
           "ELF")
        return false;
    auto const machine = little<std::uint16_t>(file, 18);
    medium.kind = MediumKind::PvhKernel;
    medium.isSupported = machine == 3 || machine == 62; // EM_386, EM_X86_64
    return true;
}

bool readDisk(File const& file, Medium& medium)
{
    struct Mark {
        std::uint64_t offset;
        std::string_view bytes;
        char const* format;
    };
    using namespace std::string_view_literals;
    static constexpr std::array marks {
        Mark { 0, "QFI\xfb"sv, "qcow2" },
        Mark { 0, "KDMV"sv, "vmdk" },
        Mark { 0, "COWD"sv, "vmdk" },
        Mark { 0, "# Disk DescriptorFile"sv, "vmdk" },
        Mark { 64, "\x7f\x10\xda\xbe"sv, "vdi" },
        Mark { 0, "vhdxfile"sv, "vhdx" },
        Mark { 0, "conectix"sv, "vpc" },
        Mark { 0, "QED\0"sv, "qed" },
        Mark { 0, "LUKS\xba\xbe"sv, "luks" },
    };
    for (auto const& mark : marks) {
        if (file.textAt(mark.offset, mark.bytes.size()) != mark.bytes)
            continue;
        medium.kind = MediumKind::Disk;
        medium.format = mark.format;
        medium.isSupported = medium.format == "qcow2" && big<std::uint32_t>(file, 4) >= 2;
        medium.diskBytes = medium.isSupported ? big<std::uint64_t>(file, 24) : 0;
        return true;
    }
    bool const hasBootSector = little<std::uint16_t>(file, 510) == 0xaa55;
    bool const hasGpt = file.textAt(512, 8) == "EFI PART";
    if (!hasBootSector && !hasGpt)
        return false;
    medium.kind = MediumKind::Disk;
    medium.format = "raw";
    medium.diskBytes = file.size();
    // A disk with GPT may have a BIOS boot partition too; a system without one is UEFI's alone.
    medium.bootsUefi = hasGpt;
    medium.bootsBios = hasBootSector && little<std::uint8_t>(file, 0) != 0;
    return true;
}

bool readConfig(File const& file, Medium& medium)
{
    if (file.size() > (4u << 20) || file.textAt(0, 1) != "{")
        return false;
    auto const text = file.textAt(0, 256);
    if (text.find("\"kind\"") == std::string::npos || text.find("\"machine\"") == std::string::npos)
        return false;
    medium.kind = MediumKind::MachineConfig;
    return true;
}

}

vmm::Result<Medium> inspectMedium(std::string const& path)
{
    auto const file = TRY(File::open(path));
    Medium medium;
    medium.path = path;
    medium.bytes = file.size();
    // An ISO first: hybrid ones have a partition table as well.
    bool const known = readIso(file, medium) || readLinux(file, medium) || readElf(file, medium)
        || readConfig(file, medium) || readDisk(file, medium);
    medium.isSupported = known && medium.isSupported;
    return medium;
}

}
