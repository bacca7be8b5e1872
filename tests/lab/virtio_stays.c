/*
 * A module of L1's kernel that keeps its virtio devices out of its sleep: Linux resets them when it wakes, and its
 * driver for 9p, on which L1's root lies, does not set up its queue again (drivers/virtio/virtio.c,
 * virtio_device_restore(); 6.1). QEMU's need no power.
 */
#include <linux/module.h>
#include <linux/pci.h>

static int __init keepOut(void)
{
    struct pci_dev* device = NULL;
    for_each_pci_dev(device)
    {
        if (device->vendor == PCI_VENDOR_ID_REDHAT_QUMRANET)
            dev_pm_syscore_device(&device->dev, true);
    }
    return 0;
}

module_init(keepOut);
MODULE_LICENSE("GPL");
