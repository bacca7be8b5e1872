#pragma once

#include "app/control/control_server.h"
#include "tests/support/chronoctl_bench.h"

namespace tests {

/// A process that has machines, as the desktop does.
struct MachineOwner {
    std::vector<std::shared_ptr<app::MachineRunner>> runners;
    std::unique_ptr<app::control::ControlServer> server;

    MachineOwner(ChronoctlBench const& bench, std::vector<std::string> const& machines)
        : server(must(app::control::ControlServer::start(bench.path("run"), "test")))
    {
        for (auto const& machine : machines) {
            auto const stored = must(bench.store.find(machine));
            runners.push_back(std::make_shared<app::MachineRunner>(
                stored.config, bench.store.placesOf(stored.id), FakeMachine::factory(bench.script)));
        }
        server->setRunners(runners);
    }
};

}
