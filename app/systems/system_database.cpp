#include "app/systems/system_database.h"

#include <algorithm>
#include <gio/gio.h>
#include <set>

// Its headers do not say so themselves; GLib's, which they include, must have been seen before.
extern "C" {
#include <osinfo/osinfo.h>
}

namespace app {

namespace {

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

/// The largest figures that a system's database entry has for x86-64.
SystemNeeds::Figures figures(OsinfoResourcesList* list)
{
    SystemNeeds::Figures most;
    Owned<OsinfoResourcesList> const owner(list);
    auto const count = list != nullptr ? osinfo_list_get_length(OSINFO_LIST(list)) : 0;
    for (int i = 0; i < count; ++i) {
        auto* one = OSINFO_RESOURCES(osinfo_list_get_nth(OSINFO_LIST(list), i));
        auto const architecture = textOf(osinfo_resources_get_architecture(one));
        if (architecture != "all" && architecture != "x86_64")
            continue;
        // -1 where the database says nothing.
        auto const take = [](std::uint64_t& into, gint64 value) {
            into = std::max(into, std::uint64_t(std::max<gint64>(value, 0)));
        };
        take(most.cpus, osinfo_resources_get_n_cpus(one));
        take(most.memory, osinfo_resources_get_ram(one));
        take(most.disk, osinfo_resources_get_storage(one));
    }
    return most;
}

/// The database's ids of all that the system, or one that it derives from, comes with drivers for.
std::set<std::string> devicesOf(OsinfoOs* os)
{
    std::set<std::string> ids;
    Owned<OsinfoDeviceList> const list(osinfo_os_get_all_devices(os, nullptr));
    auto const count = list ? osinfo_list_get_length(OSINFO_LIST(list.get())) : 0;
    for (int i = 0; i < count; ++i)
        ids.insert(textOf(osinfo_entity_get_id(osinfo_list_get_nth(OSINFO_LIST(list.get()), i))));
    return ids;
}

}

struct SystemDatabase::Private {
    Owned<OsinfoLoader> loader;
    OsinfoDb* db = nullptr; // the loader's
};

SystemDatabase::SystemDatabase() : m_private(std::make_unique<Private>())
{
    m_private->loader.reset(osinfo_loader_new());
    GError* error = nullptr;
    osinfo_loader_process_default_path(m_private->loader.get(), &error);
    if (error != nullptr)
        g_error_free(error); // what was read before it is there all the same
    m_private->db = osinfo_loader_get_db(m_private->loader.get());
}

SystemDatabase::~SystemDatabase() = default;

std::optional<SystemOnMedium> SystemDatabase::identify(std::string const& iso) const
{
    if (m_private->db == nullptr)
        return {};
    GError* error = nullptr;
    Owned<OsinfoMedia> const media(osinfo_media_create_from_location(iso.c_str(), nullptr, &error));
    if (!media) {
        g_clear_error(&error); // not bootable, or nothing it knows: an ISO without a system's name
        return {};
    }
    if (!osinfo_db_identify_media(m_private->db, media.get()))
        return {};
    SystemOnMedium found;
    found.isLive = osinfo_media_get_live(media.get());
    found.isInstaller = osinfo_media_get_installer(media.get());
    Owned<OsinfoOs> const os(osinfo_media_get_os(media.get()));
    if (os) {
        found.system = { textOf(osinfo_entity_get_id(OSINFO_ENTITY(os.get()))),
            textOf(osinfo_product_get_short_id(OSINFO_PRODUCT(os.get()))),
            textOf(osinfo_product_get_name(OSINFO_PRODUCT(os.get()))) };
    }
    return found;
}

std::optional<SystemNeeds> SystemDatabase::needs(std::string const& system) const
{
    auto* os = m_private->db != nullptr && !system.empty() ? osinfo_db_get_os(m_private->db, system.c_str()) : nullptr;
    if (os == nullptr)
        return {};
    auto const devices = devicesOf(os);
    auto const drives = [&](char const* device) { return devices.empty() || devices.contains(device); };
    return SystemNeeds {
        .id = system,
        .shortName = textOf(osinfo_product_get_short_id(OSINFO_PRODUCT(os))),
        .recommended = figures(osinfo_os_get_recommended_resources(os)),
        .minimum = figures(osinfo_os_get_minimum_resources(os)),
        .drivesVirtioDisk = drives("http://pcisig.com/pci/1af4/1042"),
        .drivesVirtioNetwork = drives("http://pcisig.com/pci/1af4/1041"),
        .drivesVirtioInput = drives("http://pcisig.com/pci/1af4/1052"),
    };
}

std::vector<System> SystemDatabase::systems() const
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

}
