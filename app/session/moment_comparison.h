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

/// The same of a disk that both moments have.
struct DiskComparison {
    struct File {
        enum class What : std::uint8_t { Added, Changed, Removed };
        QString path;
        What what = What::Changed;
        quint64 before = 0, after = 0; ///< bytes
    };
    /// A part of it with a file system that is known.
    struct Partition {
        unsigned number = 0; ///< 0: the whole disk
        std::vector<File> files;
        quint64 count = 0; ///< of all files that changed
        QString problem;   ///< why they cannot be told
    };
    struct Run {
        quint64 offset = 0, bytes = 0;
    };
    QString id;
    quint64 before = 0, after = 0; ///< bytes
    quint64 changedBytes = 0;
    std::vector<Run> runs; ///< where; the first of them
    std::vector<Partition> partitions;
    bool isCut = false; ///< there is more than is told
    QString problem;    ///< why it cannot be compared
};

/// Everything but the disks. Any thread; takes as long as there are changes in the memory. Cancelled where `goOn` says
/// so.
vmm::Result<MomentComparison> compareForPerson(vmm::timeline::Timeline const& timeline, QString const& before,
    QString const& after, std::function<bool()> const& goOn);
/// The disks that changed. Takes as long as there are changes in them; `progress` is told from 0 to 1, and false
/// cancels.
vmm::Result<std::vector<DiskComparison>> compareDisksForPerson(vmm::timeline::Timeline const& timeline,
    QString const& before, QString const& after, std::function<bool(double)> const& progress);
/// Only how much of them all that is. What cannot be compared is an error.
vmm::Result<quint64> changedDiskBytes(vmm::timeline::Timeline const& timeline, QString const& before,
    QString const& after, std::function<bool()> const& goOn);

}
