#pragma once

#include "vmm/base/result.h"
#include "vmm/config/vm_config.h"
#include "vmm/state/section.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// JSON-RPC 2.0 over a UNIX stream socket; each message is one line of JSON.
namespace app::control {

using vmm::Json;

constexpr std::size_t requestLimit = 1u << 20; ///< bytes of a message to a server
constexpr std::size_t answerLimit = 64u << 20; ///< bytes of a message from a server: a picture fits
constexpr std::size_t connectionLimit = 64;

/// JSON-RPC 2.0, 5.1 "Error object"; our own errors travel as `machineError` with their code's name in "data", or as
/// `processEnds`, where nothing was begun because this process is about to end: who asks again finds another, or
/// nobody.
constexpr int parseError = -32700, invalidRequest = -32600, methodNotFound = -32601, invalidParams = -32602,
              machineError = -32000, processEnds = -32001;

/// Cuts a stream into lines, and gives up on one that is longer than the limit.
class LineBuffer {
public:
    explicit LineBuffer(std::size_t limit) : m_limit(limit) { }
    /// False when the line under way is longer than the limit; the stream is of no use any more.
    bool add(std::string_view data, std::vector<std::string>& lines);

private:
    std::size_t m_limit;
    std::string m_rest;
};

std::string encode(Json const& message); ///< one line, with its end
/// That those which textIn() and flagIn() read are what they read. "\"path\" is a text".
vmm::Result<> checkParams(Json const& params);
std::string textIn(Json const& params, char const* name); ///< empty where it is missing
bool flagIn(Json const& params, char const* name);        ///< false where it is missing
/// 0 where it is missing, or no natural number.
std::uint64_t numberIn(Json const& params, char const* name);

Json errorToJson(vmm::Error const& error);
vmm::Error errorFromJson(Json const& json);

/// As in a machine's configuration: [{"protocol": "tcp", "hostAddress": "127.0.0.1", "hostPort": 2222, "guestPort":
/// 22}].
Json forwardsToJson(std::vector<vmm::PortForward> const& forwards);
vmm::Result<std::vector<vmm::PortForward>> forwardsFromJson(Json const& json);

/// $XDG_RUNTIME_DIR/chronovisor, else /tmp/chronovisor-UID.
std::string runtimeDirectory();
/// Makes it, for this person alone. PermissionDenied where somebody else was there first, as is possible in /tmp.
vmm::Result<> makeRuntimeDirectory(std::string const& directory);
/// Of this process.
std::string socketPath(std::string const& directory);
/// All sockets there of processes that live; what dead ones left behind is removed.
std::vector<std::string> liveSockets(std::string const& directory);

}
