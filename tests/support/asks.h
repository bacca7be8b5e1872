#pragma once

#include <algorithm>
#include <vector>

namespace tests {

/// The times that something which takes long asks whether to go on, and at which of them the answer is no, from then
/// on.
struct Asks {
    unsigned refusedFrom = ~0U, count = 0;

    bool goOn() { return count++ < refusedFrom; }
    bool hasRefused() const { return count > refusedFrom; }
    /// Each of so many, or of more than 200 an even sample.
    static std::vector<unsigned> toTry(unsigned all)
    {
        constexpr unsigned most = 200;
        auto const tried = std::min(all, most);
        std::vector<unsigned> places(tried);
        for (unsigned i = 0; i < tried; ++i)
            places[i] = i * all / tried;
        return places;
    }
};

}
