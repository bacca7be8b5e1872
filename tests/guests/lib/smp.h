#pragma once

#include "bare/bare.h"

/// Starts all other processors with INIT and SIPI, and has each call work(its number, from 1). They sleep with
/// interrupts on when work returns. Returns how many processors there are together, after they had half a second.
unsigned smpStart(void (*work)(unsigned cpu));
