#include "bare/virtio.h"
#include "lib/check.h"

/// Watches the machine's VM generation id ("Virtual Machine Generation ID", Microsoft) where the board maps it, and
/// says when it changes, which is when the machine came back from somewhere. Its network card has a driver that sends
/// nothing: whatever leaves it is the machine's own doing.

/// layout::generationId; the status of the general-purpose events; Ich9Lpc::generationGpe.
enum { generationId = 0xfed80000u, gpeStatus = 0x620, generationEvent = 1 << 5, buffers = 8, bufferSize = 2048 };

static struct Virtio card;
static struct Queue receive, transmit;

static void listenToTheNetwork(void)
{
    if (!virtioOpen(&card, virtioNet, 0, 0))
        return;
    virtioQueue(&card, &receive, 0, buffers, 0xffff);
    virtioQueue(&card, &transmit, 1, buffers, 0xffff);
    for (int i = 0; i < buffers; i++) {
        struct Buffer const chain = { allocate(bufferSize, 16), bufferSize };
        queueAdd(&receive, &chain, 0, 1);
    }
    virtioGo(&card);
    queueNotify(&receive);
}

void program(void)
{
    pciStart();
    listenToTheNetwork();
    uint64_t low = MMIO64(generationId), high = MMIO64(generationId + 8);
    out32(gpeStatus, generationEvent); // writing ones clears
    NOTE("generation %016lx%016lx", high, low);
    for (;; halt()) {
        if (MMIO64(generationId) == low && MMIO64(generationId + 8) == high)
            continue;
        low = MMIO64(generationId); // anew: the instant may have been between the two
        high = MMIO64(generationId + 8);
        NOTE("came back, event %u, generation %016lx%016lx", !!(in32(gpeStatus) & generationEvent), high, low);
        out32(gpeStatus, generationEvent);
    }
}
