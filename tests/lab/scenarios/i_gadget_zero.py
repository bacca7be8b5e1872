"""Gadget zero, which L1's kernel plays, passed through to a guest whose usbtest tries on it all that USB has but
isochronous transfers: its controller fails each of them (Linux, drivers/usb/gadget/udc/dummy_hcd.c, dummy_timer(), "case
PIPE_ISOCHRONOUS"). A sound card of QEMU's (h_devices_of_the_host.py), and programs (k_microphone.py), show those. And it becomes
another one, as a phone does whose mode is switched, or what has got a firmware."""

import subprocess
import time

from l1_usb import Gadget, gadget_zero
from machines import Failure, wait_until
from scenario import check_equal
from scenarios.e_usb import wait_in
from scenarios.h_devices_of_the_host import DEVICES, attach_new, ports

DRIVEN = "/sys/bus/usb/drivers/usbtest/*:1.0"
# Of usbtest.c. Not a queue of them: where a device goes, Linux' usb_sg_wait() may return, and its stack be another's, before
# sg_complete() has let go of the lock that lies there (drivers/usb/core/message.c).
READS = 2
# usbtest's driver knows it by either product; the second can less.
PHONE = {"idVendor": "0x0525", "idProduct": "0xa4a4", "strings/0x409/serialnumber": "as it comes"}
SWITCHED = {"idProduct": "0xa4a0", "strings/0x409/serialnumber": "switched"}
OTHER_VENDOR = {"idVendor": "0xfff0", "idProduct": "0xfff0"}


def identity(machine) -> list[str]:
    return machine.run(f"cd $(readlink -f {DRIVEN})/..; cat idVendor idProduct serial; cd /").splitlines()


def unplugs(machine) -> int:
    return int(machine.run("dmesg | grep -c 'USB disconnect' || true"))


class Reads:
    """The guest's, of which one is on its way at nearly any time, until the device is gone."""

    def __init__(self, lab, machine) -> None:
        self.machine, self.unplugs = machine, unplugs(machine)
        self.number = machine.run(f"cat $(readlink -f {DRIVEN})/../devnum")
        machine.run(f"rm -f /tmp/ended; {{ . $(readlink -f {DRIVEN})/../uevent; while /tmp/usbtest /dev/$DEVNAME {READS}; "
                    "do :; done; echo gone >/tmp/ended; } >/dev/null &")
        time.sleep(lab.random.uniform(0.1, 0.5))
        machine.run("[ ! -e /tmp/ended ]")

    def check_end(self) -> None:
        wait_in(self.machine, "[ -s /tmp/ended ]")

    def check_another(self) -> None:
        """The guest has seen one device go and one come."""
        wait_in(self.machine, f"[ \"$(cat {DRIVEN}/../devnum 2>/dev/null)\" -gt {self.number} ] 2>/dev/null")
        check_equal("devices that went", unplugs(self.machine) - self.unplugs, 1)


def comes_back(lab, machine, gadget: Gadget, settings: dict[str, str], expected: list[str]) -> None:
    """In the middle of reads, by itself: it was the machine's, and is of the same vendor at the same port."""
    reads = Reads(lab, machine)
    gadget.come_back(settings)
    reads.check_end()
    reads.check_another()
    check_equal("what it is now", identity(machine), expected)


def becomes_a_stranger(lab, machine, gadget: Gadget, port: str) -> None:
    """What another vendor has at that port is not what the machine had: it is the host's."""
    reads = Reads(lab, machine)
    gadget.come_back(OTHER_VENDOR)
    reads.check_end()
    wait_until("L1 has the other one", lambda: subprocess.run(
        ["grep", "-qsx", "fff0", DEVICES / port / "idVendor"], check=False).returncode == 0)
    wait_in(machine, f"! ls -d {DRIVEN}")
    time.sleep(3)  # the machine looks each two seconds
    check_equal("devices of the host's that the machine has", machine.call("machine.hostUsb")["devices"], [])
    check_equal("devices that went", unplugs(machine) - reads.unplugs, 1)


def gadget_zero_works(lab, machine, speed: str) -> None:
    """`speed`: "high-speed" or "super-speed". The guest has the program usbtest in its /tmp."""
    machine.run("echo 1 >/sys/module/usbtest/parameters/pattern")
    before = ports()
    with gadget_zero({**PHONE, "max_speed": speed}) as gadget:
        port = attach_new(machine, before, "gadget")
        wait_in(machine, f"ls -d {DRIVEN}")
        comes_back(lab, machine, gadget, {}, ["0525", "a4a4", "as it comes"])
        comes_back(lab, machine, gadget, SWITCHED, ["0525", "a4a0", "switched"])
        status, told = machine.try_run(f". $(readlink -f {DRIVEN})/../uevent; /tmp/usbtest /dev/$DEVNAME", 120)
        if status != 0:
            raise Failure(f"usbtest: {told}")
        becomes_a_stranger(lab, machine, gadget, port)
