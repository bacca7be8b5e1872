"""USB with one to four processors, on several of which a disk's commands and a controller's interrupts are at once then: the
machine's own sticks, a stick and a UAS disk of the host's, and gadget zero, one after the other in the same guest."""

from scenario import lab_test
from scenarios.e_usb import Sticks, check_input, check_serial, pull_out, wait_in
from scenarios.h_devices_of_the_host import stick_works, tell_of_devices, uas_disk_works
from scenarios.i_gadget_zero import gadget_zero_works


def devices_of_the_host_work(lab, own: Sticks, speed: str) -> None:
    own.unplug()
    tell_of_devices()
    stick_works(own.machine)
    uas_disk_works(own.machine)
    gadget_zero_works(lab, own.machine, speed)
    # usbtest's driver says of each request that it was not answered, once its device has gone.
    own.end(lab, besides=r"usbtest\|test2 failed")


def all_works(lab, cpus: int) -> None:
    own = Sticks(lab, lab.program("usbtest"), cpus, 24, usbDevices=[
        {"kind": "hub"}, {"kind": "keyboard", "parent": "usb-device0"}, {"kind": "tablet", "parent": "usb-device0"},
        {"kind": "serial"}])
    machine = own.machine
    wait_in(machine, "[ -c /dev/ttyACM0 ]")
    check_input(machine, 1000, 2000)
    check_serial(machine, "before")
    own.copy_over_a_suspend(lab, 16)
    check_input(machine, 3000, 4000)  # other ones, or Linux finds nothing new in them
    check_serial(machine, "after")
    pull_out(lab, machine, "disk0", "usb-storage", own.content[0])
    pull_out(lab, machine, "disk1", "uas", own.content[1])
    devices_of_the_host_work(lab, own, "super-speed")


def disks_work(lab, cpus: int) -> None:
    """To input it makes no difference how many more or fewer they are."""
    own = Sticks(lab, lab.program("usbtest"), cpus, 8)
    own.copy_over_a_suspend(lab, 4)
    devices_of_the_host_work(lab, own, "high-speed")


@lab_test(seconds=300, needs=("hardware",), usb=True)
def usb_works_with_1_processor(lab):
    all_works(lab, 1)


@lab_test(seconds=200, needs=("hardware",), usb=True)
def usb_works_with_2_processors(lab):
    disks_work(lab, 2)


@lab_test(seconds=200, needs=("hardware",), usb=True)
def usb_works_with_3_processors(lab):
    disks_work(lab, 3)


@lab_test(seconds=300, needs=("hardware",), usb=True)
def usb_works_with_4_processors(lab):
    all_works(lab, 4)
