#pragma once

#include "pci.h"

/// Virtio 1.x over PCI with split queues, polled or with MSI-X.

enum { virtioNet = 1, virtioBlock = 2, virtioConsole = 3, virtioRng = 4, virtioInput = 18 };

static uint64_t const virtioVersion1 = 1ull << 32;

struct Virtio {
    struct PciDevice* pci;
    uint64_t common, notify, isr, config; ///< addresses of the four structures
    uint32_t notifyMultiplier;
    uint64_t offered, features; ///< what the device has, and what was agreed on
};

struct Buffer {
    void* data;
    uint32_t size;
};

struct Queue {
    struct Virtio* device;
    uint16_t index, size, lastUsed, freeCount, freeHead;
    uint64_t notifyAddress;
    struct {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
    }* descriptors;
    struct {
        uint16_t flags, index, ring[];
    } volatile* available;
    struct {
        uint16_t flags, index;
        struct {
            uint32_t id, length;
        } ring[];
    } volatile* used;
};

/// Finds the n-th device of a kind, resets it and agrees on `wanted` as far as it is offered. False: none, or refused.
bool virtioOpen(struct Virtio*, unsigned kind, unsigned n, uint64_t wanted);

/// Sets up a queue with at most `most` entries; `vector` is its MSI-X entry or 0xffff. False: there is none.
bool virtioQueue(struct Virtio*, struct Queue*, unsigned index, unsigned most, uint16_t vector);

/// The driver is ready: the queues run from here.
void virtioGo(struct Virtio*);

/// Offers a chain: first what the device reads, then what it writes. Returns its id, or -1 when the queue is full.
int queueAdd(struct Queue*, struct Buffer const* buffers, unsigned readable, unsigned writable);

/// Tells the device that there is something new.
void queueNotify(struct Queue*);

/// The id of the next chain that the device has finished with, and how much it wrote; -1: none.
int queueTake(struct Queue*, uint32_t* written);

/// Adds, notifies, and sleeps until it is done; -1 after about `seconds`. Only where nothing else is in the queue.
int64_t queueDo(struct Queue*, struct Buffer const* buffers, unsigned readable, unsigned writable, unsigned seconds);
