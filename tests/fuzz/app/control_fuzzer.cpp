#include "app/control/control_client.h"
#include "app/control/control_server.h"
#include "tests/fakes/fake_machine.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

namespace {

/// A server with one machine that only goes through the motions.
struct Served {
    Served()
    {
        char name[] = "/tmp/control-fuzzer-XXXXXX";
        if (::mkdtemp(name) == nullptr)
            std::abort();
        directory = name;
        runner = std::make_shared<app::MachineRunner>(tests::exampleConfig("web"),
            app::MachinePlaces { directory + "/state", {} }, tests::FakeMachine::factory());
        server = std::move(*app::control::ControlServer::start(directory + "/run", "fuzzer"));
        server->setRunners({ runner });
    }
    ~Served()
    {
        server.reset();
        runner.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
    std::string directory;
    std::shared_ptr<app::MachineRunner> runner;
    std::unique_ptr<app::control::ControlServer> server;
};

bool hasNewMachineOrFile(std::string_view text)
{
    // What would write to places of the input's choosing is not for a fuzzer on somebody's computer; in other words
    // neither (JSON can write any letter as \u0061).
    return text.find("path") != std::string_view::npos || text.find("directory") != std::string_view::npos
        || text.find("\\u") != std::string_view::npos;
}

}

/// What another process of the same user says on the control socket. Whatever it is, the next question is answered.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    static Served served;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    if (hasNewMachineOrFile(text))
        return 0;
    auto const talking = app::control::ControlClient::connect(served.server->path());
    if (!talking)
        __builtin_trap();
    auto const message = std::string(text) + "\n";
    static_cast<void>(::send(talking->fd(), message.data(), message.size(), MSG_NOSIGNAL));
    auto next = app::control::ControlClient::connect(served.server->path());
    if (!next || !next->call("host.describe", vmm::Json::object(), std::chrono::seconds(10)))
        __builtin_trap();
    return 0;
}
