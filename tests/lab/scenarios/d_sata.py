"""Disk and CD on the AHCI controller, under Linux' own drivers and, with a USB stick, under UEFI firmware's."""

import hashlib
import random
import subprocess
import time

from scenario import check_equal, grub_iso, lab_test

MIB = 1 << 20


@lab_test(seconds=240, needs=("hardware",))
def sata_disk_and_cd_go_on_after_a_suspend(lab):
    on_disk, on_cd = random.Random(1).randbytes(64 * MIB), random.Random(2).randbytes(32 * MIB)
    disk = lab.ext4_disk(192, {"large": on_disk})
    machine = lab.linux("lab.disk=sda lab.cd", "hardware", disks=[{"path": str(disk), "bus": "ahci"}],
                        cds=[{"path": str(lab.iso({"large": on_cd}))}])
    machine.run("{ sha256sum </mnt/large >/tmp/disk; } &")
    machine.run("{ sha256sum </cd/large >/tmp/cd; } &")
    machine.run("{ dd if=/dev/urandom bs=1M count=48 2>/dev/null | tee /mnt/written | sha256sum >/tmp/written; sync; } &")
    time.sleep(lab.random.uniform(0.0, 1.5))
    machine.suspend()
    machine.restore()
    machine.run("wait", 90)
    for name, content in (("disk", on_disk), ("cd", on_cd)):
        check_equal(f"checksum of what the {name} gave", machine.run(f"cat /tmp/{name}").split()[0],
                    hashlib.sha256(content).hexdigest())
    written = machine.run("cat /tmp/written").split()[0]
    machine.run("sync; echo 3 >/proc/sys/vm/drop_caches")
    check_equal("checksum of what was written, read again", machine.run("sha256sum </mnt/written").split()[0], written)
    lab.settle(machine, disk)
    read = subprocess.run(["debugfs", "-R", "cat /written", str(disk)], capture_output=True, check=True).stdout
    check_equal("checksum of what was written, read on the host", hashlib.sha256(read).hexdigest(), written)


@lab_test(seconds=300, needs=())
def uefi_boots_from_a_stick_and_reads_sata_disk_and_cd_after_a_suspend(lab):
    """OVMF boots GRUB from a USB stick; GRUB reads all three through the firmware's drivers, which a suspend finds at work."""
    disk = lab.ext4_disk(16, {"disk.txt": b"what the disk says\n"})
    stick = grub_iso(lab.directory, "x86_64-efi", "part_gpt part_msdos ext2 search search_fs_file")
    machine = lab.machine(memoryMiB=512, firmware="ovmf", firmwareVariables=str(lab.firmware_variables()), displays=[{}],
                          usbControllers=[{}], disks=[{"path": str(stick), "bus": "usb", "readOnly": True},
                                                      {"path": str(disk), "bus": "ahci"}],
                          cds=[{"path": str(lab.iso({"cd.txt": b"what the CD says\n"}))}])
    machine.console.expect("grub> ", 200)
    for name in ("disk", "cd"):
        machine.console.send(f"search --file --set={name} /{name}.txt\n")
        machine.console.expect("grub> ", 60)
    for _ in range(2):
        for file, said in (("/told.txt", "what the medium says"), ("($disk)/disk.txt", "what the disk says"),
                           ("($cd)/cd.txt", "what the CD says")):
            machine.console.send(f"cat {file}\n")
            machine.console.expect(said, 60)
            machine.console.expect("grub> ", 60)
        machine.suspend()
        machine.restore()
