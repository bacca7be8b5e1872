#include "app/library/media.h"

#include "app/library/medium_file.h"

#include <algorithm>
#include <filesystem>
#include <gio/gio.h>

// Its headers do not say so themselves; GLib's, which they include, must have been seen before.
extern "C" {
#include <osinfo/osinfo.h>
}

namespace app {

namespace {

constexpr std::uint64_t mebibyte = 1u << 20, gibibyte = 1u << 30;

template<typename T>
struct Unref {
    void operator()(T* object) const { g_object_unref(object); }
};
template<typename T>
using Owned = std::unique_ptr<T, Unref<T>>;

std::string textOf(char const* text)
{
    return text != nullptr ? text : "";
}

/// What a system wants: the largest figures that its database entry has for x86-64.
struct Wants {
    std::uint64_t cpus = 0, memory = 0, disk = 0;

    void take(OsinfoResourcesList* list)
    {
        Owned<OsinfoResourcesList> const owner(list);
        auto const count = list != nullptr ? osinfo_list_get_length(OSINFO_LIST(list)) : 0;
        for (int i = 0; i < count; ++i) {
            auto* one = OSINFO_RESOURCES(osinfo_list_get_nth(OSINFO_LIST(list), i));
            auto const architecture = textOf(osinfo_resources_get_architecture(one));
            if (architecture != "all" && architecture != "x86_64")
                continue;
            // -1 where the database says nothing.
            cpus = std::max<std::uint64_t>(cpus, std::uint64_t(std::max(osinfo_resources_get_n_cpus(one), 0)));
            memory = std::max<std::uint64_t>(memory, std::uint64_t(std::max<gint64>(osinfo_resources_get_ram(one), 0)));
            disk = std::max<std::uint64_t>(disk, std::uint64_t(std::max<gint64>(osinfo_resources_get_storage(one), 0)));
        }
    }
};

vmm::DiskConfig disk0(std::string path)
{
    vmm::DiskConfig disk;
    disk.id = "disk0";
    disk.path = std::move(path);
    return disk;
}

/// A name for a machine out of a file's: "debian-12.5.0-amd64-netinst.iso" → "debian-12.5.0-amd64-netinst".
std::string nameFromPath(std::string const& path)
{
    auto name = std::filesystem::path(path).stem().string();
    return name.empty() ? "machine" : name.substr(0, 200);
}

}

struct MediaAdvisor::Private {
    Owned<OsinfoLoader> loader;
    OsinfoDb* db = nullptr; // the loader's

    OsinfoOs* find(std::string const& id) const
    {
        return db != nullptr && !id.empty() ? osinfo_db_get_os(db, id.c_str()) : nullptr;
    }
};

MediaAdvisor::MediaAdvisor(bool loadDatabase) : m_private(std::make_unique<Private>())
{
    if (!loadDatabase)
        return;
    m_private->loader.reset(osinfo_loader_new());
    GError* error = nullptr;
    osinfo_loader_process_default_path(m_private->loader.get(), &error);
    if (error != nullptr)
        g_error_free(error); // what was read before it is there all the same
    m_private->db = osinfo_loader_get_db(m_private->loader.get());
}

MediaAdvisor::~MediaAdvisor() = default;

vmm::Result<Medium> MediaAdvisor::recognise(std::string const& path) const
{
    auto medium = TRY(inspectMedium(path));
    if (medium.kind != MediumKind::Iso || m_private->db == nullptr)
        return medium;
    GError* error = nullptr;
    Owned<OsinfoMedia> const media(osinfo_media_create_from_location(path.c_str(), nullptr, &error));
    if (!media) {
        g_clear_error(&error); // not bootable, or nothing it knows: an ISO without a system's name
        return medium;
    }
    if (!osinfo_db_identify_media(m_private->db, media.get()))
        return medium;
    medium.isLive = osinfo_media_get_live(media.get());
    medium.isInstaller = osinfo_media_get_installer(media.get());
    Owned<OsinfoOs> const os(osinfo_media_get_os(media.get()));
    if (os) {
        medium.system = textOf(osinfo_entity_get_id(OSINFO_ENTITY(os.get())));
        medium.systemName = textOf(osinfo_product_get_name(OSINFO_PRODUCT(os.get())));
        medium.systemShortName = textOf(osinfo_product_get_short_id(OSINFO_PRODUCT(os.get())));
    }
    return medium;
}

std::vector<MediaAdvisor::System> MediaAdvisor::systems() const
{
    std::vector<System> systems;
    if (m_private->db == nullptr)
        return systems;
    struct Dated {
        System system;
        std::string family;
        std::int64_t released;
    };
    std::vector<Dated> dated;
    Owned<OsinfoOsList> const list(osinfo_db_get_os_list(m_private->db));
    for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list.get())); ++i) {
        auto* os = OSINFO_OS(osinfo_list_get_nth(OSINFO_LIST(list.get()), i));
        auto* product = OSINFO_PRODUCT(os);
        GDate* const date = osinfo_product_get_release_date(product);
        std::int64_t released = 0;
        if (date != nullptr) {
            released = g_date_valid(date) ? g_date_get_julian(date) : 0;
            g_date_free(date);
        }
        dated.push_back({ { textOf(osinfo_entity_get_id(OSINFO_ENTITY(os))),
                              textOf(osinfo_product_get_short_id(product)), textOf(osinfo_product_get_name(product)) },
            textOf(osinfo_os_get_distro(os)), released });
    }
    std::sort(dated.begin(), dated.end(), [](Dated const& left, Dated const& right) {
        return left.family != right.family ? left.family < right.family : left.released > right.released;
    });
    for (auto& one : dated)
        systems.push_back(std::move(one.system));
    return systems;
}

Proposal MediaAdvisor::propose(Medium const& medium, HostReport const& host, std::string const& system) const
{
    Proposal proposal;
    auto& config = proposal.request.config;
    config.name = nameFromPath(medium.path);
    config.system = system.empty() ? medium.system : system;
    std::uint64_t cpus = std::min(2u, host.cores), memory = 2 * gibibyte, disk = 20 * gibibyte;

    if (auto* os = m_private->find(config.system)) {
        Wants recommended, minimum;
        recommended.take(osinfo_os_get_recommended_resources(os));
        minimum.take(osinfo_os_get_minimum_resources(os));
        config.name = textOf(osinfo_product_get_short_id(OSINFO_PRODUCT(os)));
        proposal.name = Reason::SystemRecommends;
        auto const take = [](std::uint64_t& value, Reason& reason, std::uint64_t wanted, std::uint64_t least) {
            if (wanted != 0) {
                value = std::max(wanted, least);
                reason = Reason::SystemRecommends;
            } else if (least > value / 2) {
                value = 2 * least; // the minimum is for a system that does nothing
                reason = Reason::SystemRequires;
            }
        };
        std::uint64_t wantedCpus = 0;
        take(wantedCpus, proposal.cpus, recommended.cpus, minimum.cpus);
        cpus = std::max(cpus, wantedCpus);
        take(memory, proposal.memory, recommended.memory, minimum.memory);
        take(disk, proposal.disk, recommended.disk, minimum.disk);
    }

    if (cpus > host.cores && host.cores > 0) {
        cpus = host.cores;
        proposal.cpus = Reason::HostLimit;
    }
    // Half of what is free stays the host's, unless that would be next to nothing.
    auto const mayTake = std::max(host.freeMemoryBytes / 2, 256 * mebibyte);
    if (memory > mayTake) {
        memory = mayTake / (128 * mebibyte) * 128 * mebibyte;
        proposal.memory = Reason::HostLimit;
    }
    config.cpus = static_cast<std::uint16_t>(std::clamp<std::uint64_t>(cpus, 1, 16));
    config.memoryMiB = static_cast<std::uint32_t>(memory / mebibyte);

    config.displays = { {} };
    config.serials = { { "serial0" } };
    config.networks = { { "net0", {}, vmm::NetworkMode::User, {} } };
    std::uint64_t newBytes = 0;
    if (medium.kind == MediumKind::Iso)
        config.cds = { { "cd0", medium.path } };
    else
        config.cds = { { "cd0", "" } };
    if (medium.kind == MediumKind::Disk) {
        config.disks = { disk0(medium.path) };
        config.disks[0].format = medium.format == "qcow2" ? DiskFormat::Qcow2 : DiskFormat::Raw;
    } else if (medium.kind != MediumKind::PvhKernel && !(medium.isLive && !medium.isInstaller)) {
        disk = (disk + gibibyte - 1) / gibibyte * gibibyte;
        config.disks = { disk0({}) };
        proposal.request.newDisks = { { "disk0", disk, DiskFormat::Qcow2 } };
        newBytes = disk;
    }
    if (medium.kind == MediumKind::Iso && !config.disks.empty())
        config.bootOrder = { "disk0", "cd0" }; // an empty disk is passed over, an installed one comes first

    if (medium.kind == MediumKind::Kernel || medium.kind == MediumKind::PvhKernel) {
        config.firmware = vmm::Firmware::None;
        config.kernel = vmm::KernelConfig { medium.path, {}, "console=tty0 console=ttyS0" };
        proposal.firmware = Reason::MediumNeeds;
    } else if (medium.bootsUefi && !medium.bootsBios) {
        config.firmware = host.hasOvmf || !host.hasSeaBios ? vmm::Firmware::Ovmf : vmm::Firmware::SeaBios;
        proposal.firmware = host.hasOvmf ? Reason::MediumNeeds : Reason::FirmwareMissing;
    }
    proposal.concerns = concerns(host, config, newBytes);
    return proposal;
}

MachineRequest demoMachine(std::string const& kernel)
{
    MachineRequest request;
    auto& config = request.config;
    config.name = "demo";
    config.memoryMiB = 64;
    config.firmware = vmm::Firmware::None;
    config.kernel = vmm::KernelConfig { kernel, {}, {} };
    config.displays = { {} };
    config.serials = { { "serial0" } };
    config.disks = { disk0({}) };
    request.newDisks = { { "disk0", 16 * mebibyte, DiskFormat::Raw } };
    return request;
}

}
