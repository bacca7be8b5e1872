"""Gadget zero, which L1's kernel plays, passed through to a guest whose usbtest tries on it all that USB has but
isochronous transfers."""

import pathlib

from l1_usb import gadget_zero
from machines import Failure
from scenario import lab_test
from scenarios.e_usb import end_without_trouble, wait_in
from scenarios.h_devices_of_the_host import attach_new, plug_into, ports

DRIVEN = "/sys/bus/usb/drivers/usbtest/*:1.0"


def usbtest_finds_no_fault(lab, program: pathlib.Path, cpus: int, speed: str) -> None:
    machine = plug_into(lab, program, cpus)
    machine.run("echo 1 >/sys/module/usbtest/parameters/pattern")
    before = ports()
    with gadget_zero(speed):
        attach_new(machine, before, "gadget")
        wait_in(machine, f"ls -d {DRIVEN}")
        status, told = machine.try_run(f". $(readlink -f {DRIVEN})/../uevent; /tmp/usbtest /dev/$DEVNAME", 120)
        if status != 0:
            raise Failure(f"usbtest at {speed} with {cpus} processors: {told}")
        end_without_trouble(machine)


@lab_test(seconds=400, needs=("hardware",), usb=True)
def usbtest_finds_no_fault_with_1_to_4_processors(lab):
    program = lab.program("usbtest")
    for cpus, speed in (1, "super-speed"), (2, "high-speed"), (3, "high-speed"), (4, "super-speed"):
        usbtest_finds_no_fault(lab, program, cpus, speed)
