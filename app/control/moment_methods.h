#pragma once

#include "app/control/protocol.h"
#include "app/runner/machine_runner.h"
#include "vmm/machine/moment_diff.h"

#include <functional>

namespace app::control {

/// Moments that cannot be read have no names, and can only be ended.
enum class DamagedOnes : std::uint8_t { No, Too };
/// The id of the moment that is told so: by its id, the beginning of it (4 letters at least), or its name, where only
/// one has that.
vmm::Result<std::string> findMoment(
    vmm::timeline::Timeline const& timeline, std::string const& wanted, DamagedOnes damagedOnes = DamagedOnes::No);

/// From the first to the second; without another: what the first has changed since its parent.
vmm::Result<std::pair<std::string, std::string>> momentsToCompare(
    vmm::timeline::Timeline const& timeline, std::string const& moment, std::string const& other);

/// As vmm::MomentDiff has it: before, after, config, parts, memory.
Json momentDiffToJson(vmm::MomentDiff const& diff, std::string const& before, std::string const& after);

/// The methods "moment.…" of the control socket, on a machine of this process: also what chronoctl does with one that
/// nobody has in memory. `reply` is called once, on any thread. False: there is no such method.
///
/// method | parameters | result
/// ------ | ---------- | ------
/// keep   | name, note | the moment
/// cancel | the moment that is being kept: nothing of it stays | nothing
/// list   | costs: true also tells what each costs, all of them and on disks, the budget, and whether anything may
///        | go for it without being asked | present, moments, damaged
/// go     | moment, losePresent | nothing
/// foreseeUsb | moment; without it: of suspending the machine and bringing it back | devices: what becomes of those of
///        | | the host's, each id, name, serial, port, attached, outcome (plugged-anew, unplugged, asked, not-here)
/// change | moment, and of name, note, pinned what shall be otherwise | nothing
/// end    | moment, also one that cannot be read | nothing
/// verify | | damaged, unread
/// prune  | dryRun: only tell; tiers, budgetBytes: for this once | gone, bytesBefore, bytesAfter, freedBytes,
///        | | budgetBytes, overBytes, diskBytes (of what is left) or diskUnknown, looseBytes (not of a dryRun: of
///        | | diskBytes, what disks have not let go of yet)
/// policy | what shall be otherwise | automatic, everyMinutes, beforeChange, onClose, tiers, budgetBytes, totalBytes
/// fork   | name; moment, without which the present is kept (keptAs: its name) | uuid and name of the new machine
/// diff   | moment, other, as momentsToCompare() has them | as momentDiffToJson()
/// inspect | moment | moment, machine (its state, as in state.json)
/// export | moment; to: a directory (files: with all that the machine reads), or bundle: a file | devices: those that
///        | | do not travel, each as in foreseeUsb
///
/// list with costs, verify, prune, fork, diff and export take long: machine.progress tells of them, machine.cancel ends
/// them. What only who asks has something of (all of these but prune) ends too when `isWanted` does not hold any more;
/// any thread.
///
/// A moment is told as findMoment() has it.
bool callMomentMethod(MachineRunner& machine, std::string const& method, Json const& params,
    std::function<void(vmm::Result<Json>)> const& reply, std::function<bool()> const& isWanted = {});

}
