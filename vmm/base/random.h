#pragma once

#include "vmm/base/bytes.h"

#include <string>
#include <string_view>

namespace vmm {

/// Random bytes of the host's, good enough for secrets.
void fillRandom(ByteSpan data);

/// A random UUID, lower case: RFC 4122, 4.4 "Algorithms for Creating a UUID from Truly Random or Pseudo-Random
/// Numbers".
std::string makeUuid();
/// 36 characters, lower case, of any version.
bool isUuid(std::string_view text);

}
