#include "app/control/protocol.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <span>
#include <sys/stat.h>
#include <unistd.h>

namespace app::control {

namespace {

/// So that the configuration's own description is the one place that knows how a forward is written.
struct Forwards {
    static constexpr std::string_view kind = "forwards";
    static constexpr unsigned version = 1;
    std::vector<vmm::PortForward> forwards;
    static void describe(auto& v, auto& s) { v.field("forwards", s.forwards, vmm::state::Max { 64 }); }
};

/// Parameters that are the same in whichever method has them.
constexpr std::array<std::string_view, 26> texts { "bundle", "click", "console", "data", "device", "directory", "disk",
    "display", "drive", "from", "id", "jsonrpc", "keptAs", "listen", "machine", "method", "moment", "name", "network",
    "note", "onto", "other", "parent", "path", "port", "to" };
constexpr std::array<std::string_view, 11> flags { "connected", "costs", "dryRun", "force", "keepRunning",
    "losePresent", "paused", "pinned", "plugged", "readOnly", "really" };

bool isOneOf(std::span<std::string_view const> names, std::string_view name)
{
    return std::ranges::find(names, name) != names.end();
}

}

bool LineBuffer::add(std::string_view data, std::vector<std::string>& lines)
{
    for (;;) {
        auto const end = data.find('\n');
        if (m_rest.size() + std::min(end, data.size()) > m_limit)
            return false;
        m_rest += data.substr(0, end);
        if (end == std::string_view::npos)
            return true;
        lines.push_back(std::exchange(m_rest, {}));
        data.remove_prefix(end + 1);
    }
}

std::string encode(Json const& message)
{
    // What came from a guest may be no UTF-8.
    return message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

vmm::Result<> checkParams(Json const& params)
{
    for (auto const& [name, value] : params.items()) {
        if (isOneOf(texts, name) && !value.is_string())
            return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("\"{}\" is a text", name));
        if (isOneOf(flags, name) && !value.is_boolean())
            return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("\"{}\" is true or false", name));
    }
    return {};
}

std::string textIn(Json const& params, char const* name)
{
    assert(isOneOf(texts, name)); // or nobody has looked at what it is
    auto const found = params.find(name);
    return found != params.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flagIn(Json const& params, char const* name)
{
    assert(isOneOf(flags, name));
    auto const found = params.find(name);
    return found != params.end() && found->is_boolean() && found->get<bool>();
}

std::uint64_t numberIn(Json const& params, char const* name)
{
    auto const found = params.find(name);
    return found != params.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

Json errorToJson(vmm::Error const& error)
{
    Json data { { "code", std::string(vmm::errorCodeName(error.code)) } };
    if (error.osError != 0)
        data["errno"] = error.osError;
    return { { "code", machineError }, { "message", error.detail }, { "data", std::move(data) } };
}

vmm::Error errorFromJson(Json const& json)
{
    vmm::Error error { vmm::ErrorCode::Internal, "the answer is no JSON-RPC error", 0 };
    if (!json.is_object())
        return error;
    if (auto const message = json.find("message"); message != json.end() && message->is_string())
        error.detail = message->get<std::string>();
    auto const data = json.find("data");
    if (data == json.end() || !data->is_object())
        return error;
    auto const code = data->find("code");
    for (int i = 0; code != data->end() && code->is_string() && i <= int(vmm::ErrorCode::Internal); ++i) {
        if (code->get<std::string>() == vmm::errorCodeName(vmm::ErrorCode(i)))
            error.code = vmm::ErrorCode(i);
    }
    if (auto const number = data->find("errno"); number != data->end() && number->is_number_integer())
        error.osError = number->get<int>();
    return error;
}

Json forwardsToJson(std::vector<vmm::PortForward> const& forwards)
{
    return vmm::state::save(Forwards { forwards }).toJson()["state"]["forwards"];
}

vmm::Result<std::vector<vmm::PortForward>> forwardsFromJson(Json const& json)
{
    auto const section = TRY(vmm::Section::fromJson(
        { { "kind", Forwards::kind }, { "version", Forwards::version }, { "state", { { "forwards", json } } } }));
    auto read = vmm::state::load<Forwards>(section);
    if (!read)
        return vmm::fail(vmm::ErrorCode::InvalidArgument, read.error().detail);
    return std::move(read->forwards);
}

std::string runtimeDirectory()
{
    if (auto const* directory = std::getenv("XDG_RUNTIME_DIR"); directory != nullptr && directory[0] == '/')
        return std::string(directory) + "/chronovisor";
    return fmt::format("/tmp/chronovisor-{}", ::getuid());
}

vmm::Result<> makeRuntimeDirectory(std::string const& directory)
{
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
        return vmm::failOs(fmt::format("making {}", directory));
    struct stat status { };
    if (::lstat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::getuid())
        return vmm::fail(vmm::ErrorCode::PermissionDenied, fmt::format("{} is not our own directory", directory));
    return {};
}

std::string socketPath(std::string const& directory)
{
    return fmt::format("{}/{}.sock", directory, ::getpid());
}

std::vector<std::string> liveSockets(std::string const& directory)
{
    std::vector<std::string> live;
    std::error_code error;
    for (std::filesystem::directory_iterator item(directory, error), none; item != none; item.increment(error)) {
        auto const name = item->path().filename().string();
        pid_t pid = 0;
        auto const end = std::from_chars(name.data(), name.data() + name.size(), pid).ptr;
        if (std::string_view(end) != ".sock" || pid <= 0)
            continue;
        if (::kill(pid, 0) == 0 || errno == EPERM)
            live.push_back(item->path());
        else
            ::unlink(item->path().c_str());
    }
    return live;
}

}
