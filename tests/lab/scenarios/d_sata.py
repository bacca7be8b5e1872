"""Disk and CD on the AHCI controller, under Linux' own drivers and under UEFI firmware's."""

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
    time.sleep(random.uniform(0.0, 1.5))
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
def uefi_reads_sata_disk_and_cd_after_a_suspend(lab):
    """OVMF boots GRUB from the CD; GRUB reads both through the firmware's drivers, which a suspend finds at work."""
    disk = lab.ext4_disk(16, {"told.txt": b"what the disk says\n"})
    machine = lab.machine(memoryMiB=512, firmware="ovmf", firmwareVariables=str(lab.firmware_variables()), displays=[{}],
                          disks=[{"path": str(disk), "bus": "ahci"}],
                          cds=[{"path": str(grub_iso(lab.directory, "x86_64-efi", "part_gpt ext2"))}])
    machine.console.expect("grub> ", 200)
    for _ in range(2):
        for file, said in (("(hd0)/told.txt", "what the disk says"), ("/told.txt", "what the medium says")):
            machine.console.send(f"cat {file}\n")
            machine.console.expect(said, 60)
            machine.console.expect("grub> ", 60)
        machine.suspend()
        machine.restore()
