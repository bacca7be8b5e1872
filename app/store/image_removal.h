#pragma once

#include "app/store/scaffold.h"

#include <memory>
#include <utility>
#include <vector>

namespace app {

/// Images of a machine's disks on their way into the trash: first what can be refused, and then, when the machine does
/// without them, they themselves.
class ImageRemoval {
public:
    /// Makes `place`, which is locked, and goes again unless they come: `removed`, the machine with these disks alone,
    /// is there, and what their images stand on. Refused where that cannot come along; an image that cannot be read
    /// goes alone. The machine's timeline knows what stays behind.
    static vmm::Result<std::unique_ptr<ImageRemoval>> prepare(
        vmm::VmConfig removed, std::string const& place, std::string const& timelineFolder);
    /// All of them, or none.
    vmm::Result<> carryOut();
    /// What is left of what they stood on can go, if nobody else needs it.
    bool areWhole() const { return m_areWhole; }
    std::string const& place() const { return m_place; }

private:
    explicit ImageRemoval(Scaffold trash) : m_trash(std::move(trash)), m_place(m_trash.path()) { }
    std::string placeFor(std::string const& from) const;
    void bringBack(std::size_t count);

    struct Move {
        std::string from, to;
    };
    Scaffold m_trash;
    std::string m_place;
    std::vector<Move> m_moves;
    bool m_areWhole = false;
};

}
