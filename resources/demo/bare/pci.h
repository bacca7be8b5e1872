#pragma once

#include "bare.h"

/// PCI's bus 0 by configuration mechanism 1 (ports CF8 and CFC).

struct PciDevice {
    uint8_t slot, function;
    uint16_t vendor, device;
    uint32_t classCode; ///< class, subclass and interface in 24 bits
    uint64_t bar[6];    ///< the address alone; 0: none
    uint64_t barSize[6];
    bool barIsPort[6];
};

extern struct PciDevice pciDevices[64];
extern unsigned pciCount;

uint32_t pciRead32(struct PciDevice const*, unsigned offset);
uint16_t pciRead16(struct PciDevice const*, unsigned offset);
uint8_t pciRead8(struct PciDevice const*, unsigned offset);
void pciWrite32(struct PciDevice const*, unsigned offset, uint32_t value);
void pciWrite16(struct PciDevice const*, unsigned offset, uint16_t value);
void pciWrite8(struct PciDevice const*, unsigned offset, uint8_t value);

/// Finds what is on bus 0, gives an address to each BAR that has none (under direct boot no firmware has), and lets
/// each device decode and master the bus, with its INTx off.
void pciStart(void);

/// The n-th device with these identifiers, or null.
struct PciDevice* pciFind(uint16_t vendor, uint16_t device, unsigned n);

/// The n-th device of this class and subclass (16 bits), or null.
struct PciDevice* pciFindClass(unsigned classCode, unsigned n);

/// The offset of the next capability of this kind after `after` (0: from the start), or 0.
unsigned pciCapability(struct PciDevice const*, uint8_t kind, unsigned after);
