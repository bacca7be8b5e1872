"""Disk and CD on the AHCI controller, under Linux' own drivers, with discs that come and go, and, with a USB stick, under UEFI
firmware's."""

import hashlib
import pathlib
import random
import subprocess
import time

from machines import ChronovisorMachine, Failure, wait_until
from scenario import check_equal, grub_iso, lab_test

MIB = 1 << 20


def await_empty(machine) -> None:
    """The drive, as the machine and as its guest see it: Linux closes the tray as it looks."""
    wait_until("the drive is empty", lambda: not machine.call("machine.show")["config"]["state"]["cds"][0].get("path"))
    if machine.try_run("mount -t iso9660 -o ro /dev/sr0 /cd")[0] == 0:
        raise Failure("there is a disc in the drive")


def mount_cd(machine, told: str) -> None:
    machine.run("mount -t iso9660 -o ro /dev/sr0 /cd")
    check_equal("what the disc says", machine.run("cat /cd/told"), told)


def discs_come_and_go(lab, machine, first: pathlib.Path) -> None:
    """From a mounted one on. /mnt/eject is the guest's button."""
    try:
        machine.eject("cd0")
    except Failure as refused:
        if "locked" not in str(refused):
            raise
    else:
        raise Failure("the tray of a mounted CD opened")
    machine.run("cat /cd/told && umount /cd && chmod +x /mnt/eject")
    machine.eject("cd0")
    await_empty(machine)
    machine.insert("cd0", lab.iso({"told": b"second"}))
    mount_cd(machine, "second")
    if machine.try_run("/mnt/eject /dev/sr0")[0] == 0:
        raise Failure("the guest's own button opened the tray of a mounted CD")
    machine.run("umount /cd && /mnt/eject /dev/sr0")
    await_empty(machine)
    machine.insert("cd0", first)
    mount_cd(machine, "first")
    machine.eject("cd0", force=True)
    if machine.try_run("cat /cd/large >/dev/null")[0] == 0:
        raise Failure("a disc was read that is not in the drive")
    machine.run("umount /cd")


@lab_test(seconds=240, needs=("hardware",))
def sata_disk_and_cd_go_on_after_a_suspend(lab):
    on_disk, on_cd = random.Random(1).randbytes(64 * MIB), random.Random(2).randbytes(32 * MIB)
    disk = lab.ext4_disk(192, {"large": on_disk, "eject": lab.program("eject").read_bytes()})
    disc = lab.iso({"large": on_cd, "told": b"first"})
    machine = lab.linux("lab.disk=sda lab.cd", "hardware", disks=[{"path": str(disk), "bus": "ahci"}],
                        cds=[{"path": str(disc)}])
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
    if isinstance(machine, ChronovisorMachine):  # the peer keeps a disc that its guest has ejected
        discs_come_and_go(lab, machine, disc)
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
