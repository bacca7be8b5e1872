#pragma once

#include <csignal>

namespace app {

/// For each program that hosts machines, first of all: a limit on the size of files, or a reader of our output that is
/// gone, is an error of the write that meets it, and no reason to end with all machines.
inline void ignoreHostSignals()
{
    std::signal(SIGXFSZ, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
}

}
