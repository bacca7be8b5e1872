#pragma once

#include <cstdint>
#include <string>

namespace app {

/// What the makers of a system say of it; 0 where they say nothing.
struct SystemNeeds {
    struct Figures {
        std::uint64_t cpus = 0, memory = 0, disk = 0;
    };
    std::string id, shortName;
    Figures recommended, minimum;
};

}
