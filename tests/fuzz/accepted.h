#pragma once

/// A fuzzer whose input is a file says here that its reader took one. replay.cpp asks that of the seeds: what none of
/// them passes has no test behind it.
namespace fuzz {

inline unsigned acceptedFiles = 0;

inline void accept()
{
    ++acceptedFiles;
}

}
