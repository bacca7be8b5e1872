#pragma once

#include "vmm/timeline/timeline.h"

#include <QString>
#include <vector>

namespace app {

/// What is otherwise at one moment than at another, as a person reads it.
struct MomentComparison {
    struct Field {
        QString path, before, after;
    };
    /// A device, a processor, or the configuration.
    struct Part {
        enum class Presence : std::uint8_t { Both, Added, Removed };
        QString id;
        Presence presence = Presence::Both;
        std::vector<Field> fields;
    };
    QString before, after; ///< ids; the earlier one first
    std::vector<Part> parts;
    quint64 memoryBytes = 0; ///< that differ
    bool isCut = false;      ///< there is more than is told
};

/// Any thread; takes as long as there are changes in the memory. Cancelled where `goOn` says so.
vmm::Result<MomentComparison> compareForPerson(vmm::timeline::Timeline const& timeline, QString const& before,
    QString const& after, std::function<bool()> const& goOn);

}
