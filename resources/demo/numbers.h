#pragma once

/// Whole-number arithmetic: the guest does without floating point.

static inline int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/// The square root, rounded down, of a value below 2^30.
static inline unsigned squareRoot(unsigned value)
{
    unsigned root = 0;
    for (unsigned bit = 1u << 14; bit; bit >>= 1) {
        if ((root + bit) * (root + bit) <= value)
            root += bit;
    }
    return root;
}

/// The sine of phase/65536 of a turn, times 4096, by Bhaskara's formula (off by at most 7).
static inline int sine(unsigned phase)
{
    int const half = (int)(phase & 0x7fff), product = half * (0x8000 - half) >> 14; // 0 to 0x4000
    int const value = 4 * product * 4096 / (5 * 0x4000 - product);
    return phase & 0x8000 ? -value : value;
}
