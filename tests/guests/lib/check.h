#pragma once

#include "bare/bare.h"

/// Tests that run inside the machine. A guest's program() calls run() for each and then finish(); what it prints on the
/// first serial port is for the harness, a line each:
///
///     PASS name
///     FAIL name line 12: what was expected
///     SKIP name why
///     DONE passed failed skipped
///
/// After DONE the guest writes 0 or 1 to isa-debug-exit (port 0x501) and powers off, whichever the machine has.

void run(char const* name, void (*test)(void));
void finish(void) __attribute__((noreturn));

/// Ends the line of a test that this machine has nothing for.
void skip(char const* why);

/// Other lines for the harness to see; they begin with "NOTE ".
#define NOTE(...) (print("NOTE "), print(__VA_ARGS__), print("\n"))

void failed(unsigned line, char const* what);

/// Leaves the test function when the condition does not hold.
#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            failed(__LINE__, #condition);                                                                              \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

/// As EXPECT for two whole numbers, and says what they were.
#define EXPECT_EQUAL(actual, expected)                                                                                 \
    do {                                                                                                               \
        uint64_t const actual_ = (uint64_t)(actual), expected_ = (uint64_t)(expected);                                 \
        if (actual_ != expected_) {                                                                                    \
            failed(__LINE__, #actual " == " #expected);                                                                \
            NOTE("actual %lx, expected %lx", actual_, expected_);                                                      \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

/// Sleeps until the condition holds, at most `seconds`; whether it does.
#define WAIT(condition, seconds)                                                                                       \
    ({                                                                                                                 \
        uint64_t const end_ = now() + (seconds)*ticksPerSecond;                                                        \
        bool met_;                                                                                                     \
        while (!(met_ = (condition)) && now() < end_)                                                                  \
            halt();                                                                                                    \
        met_;                                                                                                          \
    })

void wait(unsigned ticks);

/// With the option pause=1: says "NOTE suspend me", and waits until it is told "x" on the first serial port.
void pauseIfAsked(void);

/// Turns the machine off; it goes on when the machine has no such register.
void powerOff(void);
