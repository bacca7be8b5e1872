#include "app/ctl/paths.h"
#include "app/ctl/verbs.h"

#include <fmt/format.h>

/// `chronoctl disk …`: the files that a machine's disks stand on, whether a process has the machine in memory or
/// nobody.
namespace app::ctl {

namespace {

void print(Json const& disks, Output const& output)
{
    for (auto const& disk : disks) {
        auto const id = disk.value("id", "");
        if (disk.contains("error")) {
            output.text(fmt::format("{}: {}", id, control::errorFromJson(disk["error"]).message()));
            continue;
        }
        auto const line = [&](Json const& file, std::string_view before) {
            output.text(fmt::format("{}{} ({} of {}, {} on this host)", before, file.value("path", ""),
                file.value("format", ""), sizeText(file.value("bytes", std::uint64_t(0))),
                sizeText(file.value("allocatedBytes", std::uint64_t(0)))));
        };
        line(disk, id + ": ");
        for (auto const& below : disk["below"])
            line(below, "  stands on ");
    }
}

}

int disk(DiskOptions const& options, Surroundings& around, Output const& output)
{
    bool const isList = options.action == "list";
    Json params = Json::object();
    if (!isList)
        params["disk"] = options.disk;
    if (!options.onto.empty())
        params["onto"] = absolute(options.onto);
    if (options.files)
        params["files"] = *options.files;
    if (options.force)
        params["force"] = true;
    auto const size = options.size.empty() ? vmm::Result<std::uint64_t>(std::uint64_t(0)) : parseSize(options.size);
    if (!size)
        return output.failed(size.error());
    if (*size != 0)
        params["bytes"] = *size;
    auto const answer = callOnMachine(options.machine, "disk." + options.action, std::move(params), around, output);
    if (!answer)
        return output.failed(answer.error());
    if (output.json)
        output.value(*answer);
    else if (isList)
        print((*answer)["disks"], output);
    else if (options.action == "stream")
        output.text(fmt::format("{} does not need what it stood on any more. Files of yours stay: delete them if "
                                "nothing else needs them.",
            options.disk));
    else if (options.action == "grow")
        output.text(fmt::format("{} has {} now. Its guest finds that at the next start; what is on it grows when a "
                                "partition and a file system are made larger there.",
            options.disk, sizeText(*size)));
    return Done;
}

}
