#include "app/control/disk_methods.h"

#include "app/store/disk_merging.h"
#include "vmm/block/stream.h"

#include <nlohmann/json.hpp>

namespace app::control {

namespace {

using Reply = std::function<void(vmm::Result<Json>)>;

constexpr unsigned mostFiles = vmm::BlockImage::maximumDepth;

Json fileToJson(vmm::ImageInfo const& image)
{
    return { { "path", image.path }, { "format", image.format == vmm::ImageFormat::Raw ? "raw" : "qcow2" },
        { "bytes", image.virtualSize }, { "allocatedBytes", image.allocatedBytes } };
}

void list(MachineRunner& machine, Json const&, Reply const& reply)
{
    auto const found = std::make_shared<Json>(Json::array());
    auto const look = [found, config = machine.config()](MachineRunner::JobProgress const&) -> vmm::Result<> {
        for (auto const& chain : vmm::diskChains(config)) {
            Json disk { { "id", chain.disk } };
            if (chain.image) {
                disk.update(fileToJson(*chain.image));
                disk["below"] = Json::array();
                for (std::size_t i = 0; i < vmm::filesBelow(*chain.image); ++i)
                    disk["below"].push_back(fileToJson(chain.image->backing[i]));
            } else {
                disk["error"] = errorToJson(chain.image.error());
            }
            found->push_back(std::move(disk));
        }
        return {};
    };
    machine.work("disks", look, [found, reply](vmm::Result<> outcome) {
        reply(outcome ? vmm::Result<Json>(Json { { "disks", std::move(*found) } }) : vmm::fail(outcome.error()));
    });
}

MachineRunner::Completion plain(Reply const& reply)
{
    return [reply](vmm::Result<> outcome) {
        reply(outcome ? vmm::Result<Json>(Json::object()) : vmm::fail(outcome.error()));
    };
}

void stream(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.streamDisk(textIn(params, "disk"), textIn(params, "onto"), plain(reply));
}

void commit(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const files = params.value("files", Json(1u));
    if (!files.is_number_unsigned() || files.get<std::uint64_t>() < 1 || files.get<std::uint64_t>() > mostFiles)
        return reply(vmm::fail(vmm::ErrorCode::InvalidArgument, "\"files\" is 1 to 64"));
    using enum vmm::OtherImages::Unreadable;
    commitDisk(machine, textIn(params, "disk"), files.get<unsigned>(), flagIn(params, "force") ? Ignore : Refuse,
        plain(reply));
}

void grow(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const bytes = params.value("bytes", Json());
    if (!bytes.is_number_unsigned())
        return reply(vmm::fail(vmm::ErrorCode::InvalidArgument, "\"bytes\" is a number, without a sign"));
    machine.growDisk(textIn(params, "disk"), bytes.get<std::uint64_t>(), plain(reply));
}

void cancel(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.cancelDisk(textIn(params, "disk"), plain(reply));
}
}

bool callDiskMethod(MachineRunner& machine, std::string const& method, Json const& params, Reply const& reply)
{
    if (method == "disk.list")
        list(machine, params, reply);
    else if (method == "disk.stream")
        stream(machine, params, reply);
    else if (method == "disk.commit")
        commit(machine, params, reply);
    else if (method == "disk.grow")
        grow(machine, params, reply);
    else if (method == "disk.cancel")
        cancel(machine, params, reply);
    else
        return false;
    return true;
}

}
