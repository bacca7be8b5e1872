#include "app/library/library_control.h"

#include "app/library/library.h"
#include "vmm/base/log.h"

namespace app {

LibraryControl::LibraryControl(Library& library, std::string const& directory)
{
    auto server = control::ControlServer::start(directory, "chronovisor");
    if (!server) {
        vmm::log(vmm::LogLevel::Warning, "control", "no control socket: {}", server.error().message());
        return;
    }
    m_server = std::move(*server);
    auto const serve = [this, &library] { m_server->setRunners(library.runners()); };
    serve();
    connect(&library, &Library::machineAdded, this, serve);
    connect(&library, &Library::machineRemoved, this, serve);
    connect(&library, &Library::machineChanged, this, serve); // one that could not be read before
}

LibraryControl::~LibraryControl() = default;

}
