#include "app/ctl/verbs.h"
#include "app/store/whole_file.h"
#include "vmm/block/image.h"
#include "vmm/machine/saved_machine.h"

#include <ctime>
#include <filesystem>
#include <fmt/chrono.h>
#include <fmt/format.h>

namespace app::ctl {

namespace {

/// A value as a person reads it: {"u64": "5"} is 5, and of a buffer only how long it is.
std::string brief(Json const& value)
{
    if (value.is_object() && value.size() == 1 && value.begin()->is_string()) {
        auto const& text = value.begin()->get_ref<std::string const&>();
        if (value.begin().key() == "u64" || value.begin().key() == "i64")
            return text;
        if (value.begin().key() == "base64")
            return fmt::format("({} bytes)",
                text.size() / 4 * 3
                    - std::size_t(text.ends_with("==") ? 2
                            : text.ends_with('=')      ? 1
                                                       : 0));
    }
    if (value.is_object() || value.is_array())
        return {};
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void print(Json const& value, std::string const& name, std::string const& indent, Output const& output)
{
    if (auto const text = brief(value); !text.empty())
        return output.text(fmt::format("{}{} = {}", indent, name, text));
    if (value.empty())
        return output.text(fmt::format("{}{} = {}", indent, name, value.is_array() ? "[]" : "{}"));
    output.text(fmt::format("{}{}", indent, name));
    std::size_t index = 0;
    for (auto const& [key, member] : value.items())
        print(member, value.is_array() ? fmt::format("[{}]", index++) : key, indent + "  ", output);
}

vmm::Result<std::string> describeImage(std::string const& path)
{
    vmm::InlineEngine engine;
    vmm::ImageOptions options;
    options.access = vmm::Access::ReadOnly;
    options.lock = vmm::HostFile::Lock::No;
    auto const image = TRY(vmm::BlockImage::open(engine, path, options));
    auto const info = image->info();
    if (info.corrupt)
        return vmm::fail(vmm::ErrorCode::Corrupt, fmt::format("{} is marked as damaged", path));
    return fmt::format("a {} disk image of {} MiB{}{}", info.format == vmm::ImageFormat::Raw ? "raw" : "qcow2",
        info.virtualSize >> 20, info.backing.empty() ? "" : fmt::format(", on top of {}", info.backing.front().path),
        info.dirty ? ", not closed properly" : "");
}

vmm::Result<std::string> describeSaved(std::string const& directory)
{
    auto const machine = TRY(vmm::readSavedMachine(directory));
    TRY(vmm::verifyRamFile(
        directory + "/" + std::string(vmm::savedRamName), machine.header.ram, [](double) { return true; }));
    TRY(vmm::checkFiles(machine.header.files));
    return fmt::format("the saved state of {}, {} devices, {} MiB of memory; it fits its disks", machine.config.name,
        machine.parts.size(), machine.header.ram.size >> 20);
}

vmm::Result<std::string> describeFile(std::string const& path)
{
    std::error_code error;
    if (std::filesystem::is_directory(path, error))
        return describeSaved(path);
    auto const head = readWholeFile(path, 64u << 20);
    if (!head && head.error().code == vmm::ErrorCode::NotFound)
        return vmm::fail(head.error());
    if (!head || head->empty() || head->front() != '{')
        return describeImage(path);
    auto const json = TRY_WITHIN(path, vmm::state::parseJson(*head));
    if (json.value("kind", Json()) == "machine") {
        auto const config = TRY_WITHIN(path, vmm::configFromText(*head));
        return fmt::format("the configuration of {}", config.name);
    }
    auto const machine = TRY_WITHIN(path, vmm::savedMachineFromJson(json));
    return fmt::format("the state of {}, {} devices", machine.config.name, machine.parts.size());
}

}

int inspect(std::string const& directory, Output const& output)
{
    auto const machine = vmm::readSavedMachine(directory);
    if (!machine)
        return output.failed(machine.error());
    if (output.json) {
        output.value(vmm::savedMachineToJson(*machine));
        return Done;
    }
    auto const savedAt = static_cast<std::time_t>(machine->header.savedAt / 1'000'000'000);
    output.text(fmt::format("{}, suspended {:%Y-%m-%d %H:%M:%S} by {}", machine->config.name, fmt::localtime(savedAt),
        machine->header.program));
    output.text(fmt::format("  {} CPUs, {} MiB of memory", machine->config.cpus, machine->config.memoryMiB));
    for (auto const& file : machine->header.files)
        output.text(fmt::format("  {} is {}, {} bytes", file.id, file.path, file.size));
    for (auto const& part : machine->parts) {
        output.text("");
        output.text(fmt::format("{} ({} version {})", part.id, part.section.kind(), part.section.version()));
        for (auto const& [key, value] : part.section.fields().items())
            print(value, key, "  ", output);
    }
    return Done;
}

int validate(std::string const& path, Output const& output)
{
    auto const found = describeFile(path);
    if (!found)
        return output.failed(found.error());
    if (output.json)
        output.value({ { "valid", true }, { "what", *found } });
    else
        output.text(fmt::format("{} is {}", path, *found));
    return Done;
}

}
