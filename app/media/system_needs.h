#pragma once

#include <cstdint>
#include <string>

namespace app {

/// What is known of a system: what its makers say, 0 where they say nothing, and what it comes with drivers for.
struct SystemNeeds {
    struct Figures {
        std::uint64_t cpus = 0, memory = 0, disk = 0;
    };
    std::string id, shortName;
    Figures recommended, minimum;
    /// Of virtio 1.0, as our devices are. True where nothing is known of its drivers.
    bool drivesVirtioDisk = true, drivesVirtioNetwork = true, drivesVirtioInput = true;
};

}
