#!/usr/bin/env python3
"""grub_test.py CHRONOCTL cd|usb: SeaBIOS starts GRUB from an ISO on an AHCI drive, or on a USB stick. At its prompt the
machine is suspended; in a new process it shows the same picture, takes commands, on its serial port or from a USB
keyboard, reads its medium, and (cd) finds its memory above 4 GiB and paints in a graphics mode of the display's BIOS, out of
which the reset button brings it back to its prompt. Runs on any KVM, also one that emulates most of the guest's code."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))
import machines
from scenario import Picture, check_equal, grub_iso

MIB, GIB = 1 << 20, 1 << 30
MEMORY_MIB = 5 * 1024  # of the machine with a CD, which uses next to nothing of it
SECONDS = 120 * float(os.environ.get("CHRONOVISOR_TEST_PATIENCE", "1"))  # SeaBIOS and GRUB in an emulating KVM take 10 to 20 on an idle machine


def wait_for_colours(machine: machines.Machine, width: int, height: int) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            shot = Picture.from_ppm(machine.screenshot())
        except machines.Failure:
            continue  # between two modes there is no picture
        if (shot.width, shot.height) == (width, height) and shot.share_of({bytes(3)}) < 0.9:
            return
        time.sleep(0.5)
    raise machines.Failure(f"no picture of {width} by {height} in {SECONDS} s")


def picture_survives_a_suspend(machine: machines.Machine) -> None:
    before = Picture.from_ppm(machine.screenshot())
    machine.suspend()
    machine.restore()
    difference = Picture.from_ppm(machine.screenshot()).share_that_differs(before)
    if difference > 0.001:  # the cursor blinks
        raise machines.Failure(f"{difference:.1%} of the picture changed over the suspend")


def reads_its_medium(machine: machines.Machine) -> None:
    machine.console.send("cat /told.txt\n")
    machine.console.expect("what the medium says", SECONDS)
    machine.console.expect("grub> ", SECONDS)


def check_memory_map(machine: machines.Machine) -> None:
    """As SeaBIOS tells it: the first 2 GiB, a hole up to 4 GiB, and the rest above that."""
    machine.console.send("lsmmap\n")
    told = machine.console.expect(r"(base_addr(?:.|\n)*?)grub> ", SECONDS)[1]
    ram = [(int(base, 16), int(base, 16) + int(length, 16)) for base, length in
           re.findall(r"base_addr = (0x[0-9a-f]+), length = (0x[0-9a-f]+), available RAM", told)]
    low = [part for part in ram if part[0] < 4 * GIB]
    check_equal("RAM above 4 GiB", [part for part in ram if part not in low], [(4 * GIB, MEMORY_MIB * MIB + 2 * GIB)])
    end = max(end for _, end in low)
    if not 2 * GIB - MIB < end <= 2 * GIB:  # at its end lie the firmware's own tables
        raise machines.Failure(f"the RAM below the hole ends at {end:#x}: {told}")


def from_cd(directory: pathlib.Path) -> None:
    disc = {"path": str(grub_iso(directory, "i386-pc", "vbe videotest lsmmap"))}
    with machine_with(memoryMiB=MEMORY_MIB, cds=[disc]) as machine:
        picture_survives_a_suspend(machine)
        reads_its_medium(machine)
        check_memory_map(machine)
        # The pattern is full of colour and stays until a key is pressed.
        machine.console.send("insmod vbe\n")
        machine.console.expect("grub> ", SECONDS)
        machine.console.send("videotest 640x480x32\n")
        wait_for_colours(machine, 640, 480)
        machine.reset()  # SeaBIOS meets all devices as it did the first time
        machine.console.expect("grub> ", SECONDS)
        reads_its_medium(machine)


def from_stick(directory: pathlib.Path) -> None:
    stick = {"path": str(grub_iso(directory, "i386-pc")), "bus": "usb", "readOnly": True}
    with machine_with(usbControllers=[{}], disks=[stick], usbDevices=[{"kind": "keyboard"}]) as machine:
        picture_survives_a_suspend(machine)
        for key in ("c", "a", "t", "space", "slash", "t", "o", "l", "d", "dot", "t", "x", "t", "enter"):
            machine.press(key)
        machine.console.expect("what the medium says", SECONDS)


@contextlib.contextmanager
def machine_with(**configuration):
    """A machine at GRUB's prompt."""
    machine = machines.ChronovisorMachine(**{"memoryMiB": 128, **configuration}, cpus=1, firmware="seabios", displays=[{}])
    try:
        machine.start()
        machine.console.expect("grub> ", SECONDS)
        yield machine
    finally:
        print(machine.errors(), end="")
        machine.close()


def main() -> int:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("CHRONOVISOR-SKIP: /dev/kvm is not usable here")
        return 77
    machines.ChronovisorMachine.program = sys.argv[1]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="grub-test-"))
    try:
        (from_stick if sys.argv[2] == "usb" else from_cd)(directory)
        print("passed")
        return 0
    except machines.Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
