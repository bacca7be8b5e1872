#pragma once

#include "bare.h"

/// What the parts of the library know of each other, and a program that starts further processors.

enum { maxCpus = 16, firstTaskState = 0x38 };

/// Fills the IDT, starts the 8259s and the tick, and turns interrupts on.
void startInterrupts(void);

/// Points this processor to the GDT, the IDT and its own task state.
void loadTables(unsigned cpu);

/// The number that loadTables was called with; ring 0 only.
unsigned thisCpu(void);

void trap(struct Frame*);
