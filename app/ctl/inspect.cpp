#include "app/ctl/verbs.h"
#include "app/store/cpu_file.h"
#include "app/store/file_schemas.h"
#include "app/store/whole_file.h"
#include "vmm/block/image.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/state/leaf_text.h"

#include <ctime>
#include <filesystem>
#include <fmt/chrono.h>
#include <fmt/format.h>

namespace app::ctl {

namespace {

void print(Json const& value, std::string const& name, std::string const& indent, Output const& output)
{
    if (auto const text = vmm::state::leafText(value))
        return output.text(fmt::format("{}{} = {}", indent, name, *text));
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

/// A path where there is such a file, else a machine's name.
vmm::Result<std::optional<StoredMachine>> machineCalled(std::string const& given, Surroundings const& around)
{
    std::error_code unknown;
    if (given.find('/') != std::string::npos || std::filesystem::exists(given, unknown))
        return std::optional<StoredMachine>();
    auto const machine = around.store.find(given);
    if (machine)
        return std::optional(*machine);
    if (machine.error().code == vmm::ErrorCode::NotFound)
        return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is neither a file nor a machine \"{}\"", given));
    return vmm::fail(machine.error());
}

/// A word for each file that the machine is made of.
vmm::Result<std::vector<std::string>> describeMachine(StoredMachine const& machine, Surroundings const& around)
{
    if (machine.problem)
        return vmm::fail(*machine.problem);
    std::vector<std::string> found { fmt::format("the configuration of {}", machine.config.name) };
    if (auto const cpu = TRY(readCpuFile(around.store.placesOf(machine.id).cpuFile)))
        found.push_back(fmt::format("the CPU that its guest keeps, {} leaves", cpu->features.entries.size()));
    for (auto const& disk : machine.config.disks)
        found.push_back(fmt::format("{} is {}", disk.id, TRY_WITHIN(disk.id, describeImage(disk.path))));
    if (auto const state = around.store.placesOf(machine.id).stateDirectory; vmm::holdsSavedMachine(state))
        found.push_back(TRY_WITHIN("the saved state", describeSaved(state)));
    return found;
}

vmm::Result<std::vector<std::string>> describe(std::string const& given, Surroundings const& around)
{
    if (auto const machine = TRY(machineCalled(given, around)))
        return describeMachine(*machine, around);
    return std::vector<std::string> { fmt::format("{} is {}", given, TRY(describeFile(given))) };
}

}

vmm::Result<> printMachine(vmm::SavedMachine const& machine, InspectOptions const& options, Output const& output)
{
    auto parts = machine.parts;
    if (!options.part.empty()) {
        std::erase_if(parts, [&](vmm::SavedPart const& part) { return part.id != options.part; });
        if (parts.empty())
            return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("the machine has no part \"{}\"", options.part));
    }
    if (output.json) {
        auto json = vmm::savedMachineToJson(machine);
        output.value(options.part.empty() ? json : parts.front().section.toJson());
        return {};
    }
    if (options.part.empty() && !options.schema) {
        output.text(fmt::format("  {} CPUs, {} MiB of memory; by {}", machine.config.cpus, machine.config.memoryMiB,
            machine.header.program));
        for (auto const& file : machine.header.files)
            output.text(fmt::format("  {} is {}, {} bytes", file.id, file.path, file.size));
    }
    for (auto const& part : parts) {
        output.text("");
        output.text(fmt::format("{} ({} version {})", part.id, part.section.kind(), part.section.version()));
        if (options.schema) {
            output.text(vmm::partSchemaText(part.section.kind()));
            continue;
        }
        for (auto const& [key, value] : part.section.fields().items())
            print(value, key, "  ", output);
    }
    return {};
}

int inspect(std::string const& given, InspectOptions const& options, Surroundings const& around, Output const& output)
{
    return output.finish([&]() -> vmm::Result<> {
        auto const stored = TRY(machineCalled(given, around));
        auto const machine
            = TRY(vmm::readSavedMachine(stored ? around.store.placesOf(stored->id).stateDirectory : given));
        if (!output.json && options.part.empty()) {
            auto const savedAt = static_cast<std::time_t>(machine.header.savedAt / 1'000'000'000);
            output.text(
                fmt::format("{}, suspended {:%Y-%m-%d %H:%M:%S}", machine.config.name, fmt::localtime(savedAt)));
        }
        return printMachine(machine, options, output);
    }());
}

int schema(std::string const& kind, Output const& output)
{
    output.value(fileSchema(kind));
    return Done;
}

int validate(std::string const& given, Surroundings const& around, Output const& output)
{
    auto const found = describe(given, around);
    if (!found)
        return output.failed(found.error());
    if (output.json)
        output.value({ { "valid", true }, { "what", *found } });
    for (auto const& line : *found) {
        if (!output.json)
            output.text(line);
    }
    return Done;
}

}
