#include "app/media/medium.h"

#include "vmm/base/bytes.h"
#include "vmm/block/guess_format.h"
#include "vmm/block/host_file.h"
#include "vmm/block/image.h"

#include <fmt/format.h>

namespace app {

namespace {

constexpr std::size_t isoSector = 2048, diskSector = 512;

class File {
public:
    static vmm::Result<File> open(std::string const& path)
    {
        File file(
            TRY(vmm::HostFile::open(path, vmm::Access::ReadOnly, vmm::CacheMode::Writeback, vmm::HostFile::Lock::No)));
        file.m_size = TRY(file.m_file->size());
        return file;
    }

    std::string const& path() const { return m_file->name(); }
    std::uint64_t size() const { return m_size; }
    vmm::Result<vmm::ImageFormat> imageFormat() const { return vmm::detectFormat(*m_file); }

    /// Zeroes stand for what is beyond the end or cannot be read: they are no format's mark.
    vmm::Bytes at(std::uint64_t offset, std::size_t length) const
    {
        vmm::Bytes data(length);
        if (!m_file->read(offset, data))
            data.assign(length, 0);
        return data;
    }

    std::string textAt(std::uint64_t offset, std::size_t length) const
    {
        auto const data = at(offset, length);
        return { data.begin(), data.end() };
    }

private:
    explicit File(std::unique_ptr<vmm::HostFile> file) : m_file(std::move(file)) { }
    std::unique_ptr<vmm::HostFile> m_file;
    std::uint64_t m_size = 0;
};

vmm::Error unsupported(File const& file, char const* what)
{
    return { vmm::ErrorCode::Unsupported, fmt::format("{} is {}", file.path(), what), 0 };
}

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
    if (machine != 3 && machine != 62) // EM_386, EM_X86_64
        medium.refusal = unsupported(file, "for another kind of processor");
    return true;
}

/// What has no signature is a disk if it has whole sectors: an empty one, or one with a bare file system.
bool readDisk(File const& file, Medium& medium)
{
    auto const format = file.imageFormat();
    if (!format || file.textAt(0, 6) == "LUKS\xba\xbe") {
        medium.refusal = format ? unsupported(file, "encrypted with LUKS") : format.error();
        return true;
    }
    if (*format == vmm::ImageFormat::Qcow2) {
        medium.kind = MediumKind::Disk;
        medium.format = "qcow2";
        medium.diskBytes = big<std::uint64_t>(file, 24);
        medium.backing = vmm::backingToName(file.path()).value_or(std::string()); // what is damaged is told later
        medium.isBackingElsewhere
            = !medium.backing.empty() && !vmm::checkBacking(file.path(), medium.backing, {}).has_value();
        return true;
    }
    bool const hasBootSector = little<std::uint16_t>(file, 510) == 0xaa55;
    bool const hasGpt = file.textAt(512, 8) == "EFI PART";
    bool const hasWholeSectors = file.size() != 0 && file.size() % diskSector == 0;
    if (!hasBootSector && !hasGpt && !hasWholeSectors)
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
    medium.refusal = unsupported(file, "the description of a machine, which chronoctl run takes");
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
    if (!known) {
        medium.refusal = vmm::Error { vmm::ErrorCode::Corrupt,
            fmt::format("{} is neither a CD nor a disk image nor a kernel", path), 0 };
    }
    return medium;
}

}
