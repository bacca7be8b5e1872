#pragma once

#include <QtGlobal>

namespace tests {

/// How many times as long as in a build as dev something may take: sanitizers make more of a second.
inline int patience()
{
    static int const times = qMax(1, qEnvironmentVariableIntValue("CHRONOVISOR_TEST_PATIENCE"));
    return times;
}

inline int const waitLimit = 5000 * patience(); // ms, of what another thread does

}
