#pragma once

#include "vmm/state/section.h"

#include <array>
#include <string>

/// The formats of our files as JSON Schema (draft 2020-12), made from the same describe() that reads and writes them.
namespace vmm {

/// Our kinds of files: machine.json and the cpu.json beside it, of a timeline moments/ID.json, timeline.json and
/// moments/ID.set, and the state of a whole machine (state.json of a suspended one, moments/ID.state).
constexpr std::array<std::string_view, 6> fileKinds { "machine", "cpu", "moment", "timeline", "working-set", "state" };
/// The schema of one of them, of every version that this program reads. The name is one of these.
Json fileSchema(std::string_view kind);

/// A list of the sections that a part of a machine can be: one of each version of each kind.
Json partSchemas();
/// The present version of a kind for people, one line a field; empty: there is no such kind.
std::string partSchemaText(std::string_view kind);

}
