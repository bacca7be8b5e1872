"""Devices of the host's that mean no good (hostile.c), before a guest that has a stick of the host's and a keyboard besides."""

import contextlib
import time

from l1_usb import MIB, STICK_MIB, played
from machines import Failure, wait_until
from scenario import check_equal, lab_test
from scenarios.e_usb import KEY_A, KEYS, Input, wait_in
from scenarios.f_host_usb import check_file, open_files, threads
from scenarios.h_devices_of_the_host import attach, new_port, plug_into, port_of_stick, ports

# In hostile.c's order, for a device's number tells its manner.
MANNERS = ("contradicts", "shrinks", "grows", "stalls", "babbles", "silent", "dies", "garbles", "vanishes", "floods")
PRODUCT, PRODUCT_BACK = 0x100, 0x200
NOT_FOR_LINUX = ("shrinks", "grows", "dies")  # it makes no device of what they tell it
LONGEST_LOG = 16384


class Alive:
    """Who asks the machine and who asks the guest is answered soon, and each key is heard."""

    def __init__(self, machine) -> None:
        self._machine = machine
        self._keyboard = Input(machine, "Chronovisor USB Keyboard")
        self._pressed = 0

    def check(self) -> None:
        self._machine.call("machine.show", within=10)
        self._machine.run("true", 20)
        self._machine.press("a")
        self._pressed += 1
        check_equal("key events", self._keyboard.events(KEYS, 2 * self._pressed), [(KEY_A, 1), (KEY_A, 0)] * self._pressed)


def check_stick(machine) -> None:
    """It is the disk that has its size; what else calls itself a disk has none."""
    find = f"grep -lx {STICK_MIB * MIB // 512} /sys/block/sd?/size"
    wait_in(machine, f"{find} >/dev/null")
    check_file(machine, machine.run(f"basename $(dirname $({find}))"))


def talk_to(machine, product: int) -> None:
    """A program of the guest's does, for as long as the device is there."""
    uevent = f"grep -l 'PRODUCT=1209/{product:x}/' /sys/bus/usb/devices/*/uevent | grep -v :"
    wait_in(machine, f"{uevent} >/dev/null")
    machine.run(f"{{ . $({uevent}); while [ -c /dev/$DEVNAME ]; do /tmp/bulk /dev/$DEVNAME 2 81 1 1 2 3; done; }} "
                ">/dev/null 2>&1 &")


def meet(machine, manner: str, number: int) -> None:
    wait_in(machine, "dmesg | grep -q 'new .* USB device number'")  # of those, too, which it cannot make anything of
    if manner == "vanishes":  # as soon as the guest's drivers have it
        talk_to(machine, PRODUCT_BACK + number)
    elif manner not in NOT_FOR_LINUX:
        talk_to(machine, PRODUCT + number)


def attached(machine) -> set[str]:
    return {device["port"] for device in machine.call("machine.hostUsb", within=10)["devices"]}


@contextlib.contextmanager
def hostile(lab, machine, manner: str):
    """Such a device is the machine's for as long as that goes, and then pulled out, or detached."""
    number, before = MANNERS.index(manner), ports()
    with played(lab.program("hostile"), manner, str(number)) as program:
        port = new_port(before, manner)
        machine.run("dmesg -c >/dev/null")
        attach(machine, port)
        yield number
        if manner == "dies":
            program.kill()  # silent to the host, too, which would try for long to reset what it has again
        for port in attached(machine) - {port_of_stick()}:
            with contextlib.suppress(Failure):  # it may be the one that went just now
                machine.call("machine.detachUsb", device=port)
        wait_until("the machine has none but the stick", lambda: attached(machine) == {port_of_stick()})


@lab_test(seconds=480, needs=("hardware",), usb=True)
def a_hostile_device_of_the_host_harms_nothing(lab):
    machine = plug_into(lab, lab.program("bulk"), usbDevices=[{"kind": "keyboard"}])
    attach(machine, port_of_stick())
    check_stick(machine)
    alive = Alive(machine)
    files_before, threads_before = open_files(machine), threads(machine)
    for manner in MANNERS:
        began = time.monotonic()
        with hostile(lab, machine, manner) as number:
            meet(machine, manner, number)
            alive.check()
        alive.check()
        print(f"    one that {manner}: {time.monotonic() - began:.1f} s", flush=True)
    check_stick(machine)
    wait_until(f"no more than {files_before} open files and {threads_before} threads, not {open_files(machine)} and "
               f"{threads(machine)}", lambda: open_files(machine) <= files_before and threads(machine) <= threads_before)
    with hostile(lab, machine, "floods"):
        machine.keep("while it floods")
        machine.go_to("while it floods")
        Alive(machine).check()
    check_stick(machine)
    if (log := (machine.directory / "errors").stat().st_size) > LONGEST_LOG:
        raise Failure(f"the log has grown to {log} bytes: {machine.errors()}")
    machine.console.send("poweroff -f\n")
    machine.wait_for_end(30)
