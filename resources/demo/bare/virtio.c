#include "virtio.h"

// Virtual I/O Device (VIRTIO) Version 1.2, 4.1.4 "Virtio Structure PCI Capabilities" and 2.7 "Split Virtqueues".

enum {
    deviceFeatureSelect = 0x00,
    deviceFeature = 0x04,
    driverFeatureSelect = 0x08,
    driverFeature = 0x0c,
    configVector = 0x10,
    deviceStatus = 0x14,
    queueSelect = 0x16,
    queueSize = 0x18,
    queueVector = 0x1a,
    queueEnable = 0x1c,
    queueNotifyOffset = 0x1e,
    queueDescriptors = 0x20,
    queueDriver = 0x28,
    queueDevice = 0x30,
};
enum { acknowledge = 1, driver = 2, driverOk = 4, featuresOk = 8 };
enum { hasNext = 1, deviceWrites = 2 };

static bool findStructures(struct Virtio* virtio)
{
    for (unsigned at = 0; (at = pciCapability(virtio->pci, 9, at));) {
        unsigned const kind = pciRead8(virtio->pci, at + 3), bar = pciRead8(virtio->pci, at + 4);
        if (bar > 5 || virtio->pci->bar[bar] == 0 || virtio->pci->barIsPort[bar])
            continue;
        uint64_t const address = virtio->pci->bar[bar] + pciRead32(virtio->pci, at + 8);
        switch (kind) {
        case 1: virtio->common = address; break;
        case 2:
            virtio->notify = address;
            virtio->notifyMultiplier = pciRead32(virtio->pci, at + 16);
            break;
        case 3: virtio->isr = address; break;
        case 4: virtio->config = address; break;
        }
    }
    return virtio->common && virtio->notify;
}

bool virtioOpen(struct Virtio* virtio, unsigned kind, unsigned n, uint64_t wanted)
{
    *virtio = (struct Virtio) { .pci = pciFind(0x1af4, (uint16_t)(0x1040 + kind), n) };
    if (!virtio->pci || !findStructures(virtio))
        return false;
    uint64_t const common = virtio->common;
    MMIO8(common + deviceStatus) = 0;
    while (MMIO8(common + deviceStatus) != 0) { }
    MMIO8(common + deviceStatus) = acknowledge | driver;
    MMIO32(common + deviceFeatureSelect) = 0;
    virtio->offered = MMIO32(common + deviceFeature);
    MMIO32(common + deviceFeatureSelect) = 1;
    virtio->offered |= (uint64_t)MMIO32(common + deviceFeature) << 32;
    virtio->features = virtio->offered & (wanted | virtioVersion1);
    MMIO32(common + driverFeatureSelect) = 0;
    MMIO32(common + driverFeature) = (uint32_t)virtio->features;
    MMIO32(common + driverFeatureSelect) = 1;
    MMIO32(common + driverFeature) = (uint32_t)(virtio->features >> 32);
    MMIO8(common + deviceStatus) = acknowledge | driver | featuresOk;
    return MMIO8(common + deviceStatus) & featuresOk;
}

/// 64-bit fields are written as two halves (4.1.3.1 "Driver Requirements: PCI Device Layout").
static void write64(uint64_t address, void const volatile* value)
{
    MMIO32(address) = (uint32_t)(uintptr_t)value;
    MMIO32(address + 4) = (uint32_t)((uintptr_t)value >> 32);
}

bool virtioQueue(struct Virtio* virtio, struct Queue* queue, unsigned index, unsigned most, uint16_t vector)
{
    uint64_t const common = virtio->common;
    MMIO16(common + queueSelect) = (uint16_t)index;
    unsigned size = MMIO16(common + queueSize);
    if (size == 0)
        return false;
    if (size > most)
        size = most;
    *queue = (struct Queue) { .device = virtio, .index = (uint16_t)index, .size = (uint16_t)size };
    queue->descriptors = allocate(16 * size, 16);
    queue->available = allocate(6 + 2 * size, 2);
    queue->used = allocate(6 + 8 * size, 4);
    for (unsigned i = 0; i < size; i++)
        queue->descriptors[i].next = (uint16_t)(i + 1);
    queue->freeCount = (uint16_t)size;
    MMIO16(common + queueSize) = (uint16_t)size;
    MMIO16(common + queueVector) = vector;
    write64(common + queueDescriptors, queue->descriptors);
    write64(common + queueDriver, queue->available);
    write64(common + queueDevice, queue->used);
    queue->notifyAddress = virtio->notify + (uint64_t)MMIO16(common + queueNotifyOffset) * virtio->notifyMultiplier;
    MMIO16(common + queueEnable) = 1;
    return true;
}

void virtioGo(struct Virtio* virtio)
{
    MMIO8(virtio->common + deviceStatus) = acknowledge | driver | featuresOk | driverOk;
}

int queueAdd(struct Queue* queue, struct Buffer const* buffers, unsigned readable, unsigned writable)
{
    unsigned const count = readable + writable;
    if (count == 0 || count > queue->freeCount)
        return -1;
    uint16_t const head = queue->freeHead;
    for (unsigned i = 0, at = head; i < count; i++, at = queue->freeHead) {
        queue->descriptors[at].address = (uint64_t)buffers[i].data;
        queue->descriptors[at].length = buffers[i].size;
        queue->descriptors[at].flags = (uint16_t)((i + 1 < count ? hasNext : 0) | (i >= readable ? deviceWrites : 0));
        queue->freeHead = queue->descriptors[at].next;
    }
    queue->freeCount = (uint16_t)(queue->freeCount - count);
    queue->available->ring[queue->available->index % queue->size] = head;
    barrier();
    queue->available->index++;
    return head;
}

void queueNotify(struct Queue* queue)
{
    barrier();
    MMIO16(queue->notifyAddress) = queue->index;
}

int queueTake(struct Queue* queue, uint32_t* written)
{
    if (queue->used->index == queue->lastUsed)
        return -1;
    barrier();
    uint32_t const id = queue->used->ring[queue->lastUsed % queue->size].id;
    if (written)
        *written = queue->used->ring[queue->lastUsed % queue->size].length;
    queue->lastUsed++;
    uint16_t last = (uint16_t)id;
    unsigned count = 1;
    for (; queue->descriptors[last].flags & hasNext; count++)
        last = queue->descriptors[last].next;
    queue->descriptors[last].next = queue->freeHead;
    queue->freeHead = (uint16_t)id;
    queue->freeCount = (uint16_t)(queue->freeCount + count);
    return (int)id;
}

int64_t queueDo(
    struct Queue* queue, struct Buffer const* buffers, unsigned readable, unsigned writable, unsigned seconds)
{
    uint32_t written;
    if (queueAdd(queue, buffers, readable, writable) < 0)
        return -1;
    queueNotify(queue);
    for (uint64_t const end = now() + seconds * ticksPerSecond; queueTake(queue, &written) < 0; halt()) {
        if (now() > end)
            return -1;
    }
    return written;
}
