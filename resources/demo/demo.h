#pragma once

#include "bare/bare.h"

/// The rooms of the demo machine and the doors between them.

// ---- disk.c: counts the seconds on a disk ----

enum DiskState { diskAbsent, diskForeign, diskAgrees, diskDisagrees, diskFailed };

struct Disk {
    enum DiskState state;
    uint64_t boots, seconds; ///< what this machine has been through, all boots together
    uint64_t found;          ///< the seconds on the disk, as last seen there
};

extern struct Disk disk;
void diskStart(void);
void diskWork(void);  ///< call on each tick; never waits
void diskClose(void); ///< writes what is left and waits until it is safe

// ---- input.c: the keyboard and the tablet ----

void inputStart(void);
void inputWork(void);

// ---- shell.c: a prompt on the serial line and on the screen ----

void shellStart(void);
void shellType(char c); ///< a key was pressed, wherever
void shellWork(void);   ///< takes what has come over the serial line

// ---- terminal.c: the lines at the bottom of the screen ----

enum { terminalLines = 6, terminalColumns = 70 };

extern char terminalText[terminalLines][terminalColumns + 1];
extern bool terminalChanged;
void terminalPut(char c);

// ---- picture.c: what the screen shows ----

enum Event { eventKey, eventSerial, eventPointer, eventCount };

bool pictureStart(void);
void pictureWork(void);
void pictureNote(enum Event); ///< something happened now: the timeline gets a mark
bool pictureShape(char const* name);
bool pictureColour(char const* name);
void pictureFarewell(char const* text);

// ---- power.c: the clock, the power button, the end ----

struct Clock {
    unsigned year, month, day, hour, minute, second;
};

void powerStart(void);
void powerWork(void);
struct Clock readClock(void);
void reboot(void) __attribute__((noreturn));
void powerOff(void) __attribute__((noreturn));
