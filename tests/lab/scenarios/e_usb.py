"""Sticks, input, a hub and a serial port on the xHCI controller, under Linux' own drivers."""

import hashlib
import random
import struct
import subprocess
import time

from machines import ChronovisorMachine, Failure
from scenario import Skip, check_equal, lab_test

MIB = 1 << 20
EVENT = struct.Struct("<qqHHi")  # struct input_event
KEY_A, KEYS, POSITIONS = 30, 1, 3


def sticks(machine) -> dict[str, str]:
    """Which disk hangs on which driver: {"usb-storage": "sda", "uas": "sdb"}."""
    told = machine.run("for disk in /sys/block/sd?; do echo $(basename $disk) "
                       "$(basename $(readlink -f $disk/device/../../../driver)); done")
    return {driver: disk for disk, driver in (line.split() for line in told.splitlines())}


def wait_until(machine, condition: str, seconds: int = 20) -> None:
    machine.run(f"n=0; until {condition}; do n=$((n + 1)); [ $n -lt {10 * seconds} ] || break; sleep 0.1; done; "
                f"[ $n -lt {10 * seconds} ]", seconds + 20)


class Input:
    """An input device of the guest: what it tells from now on."""

    def __init__(self, machine, name: str) -> None:
        self.machine = machine
        handlers = machine.run(f"grep -A4 'Name=\"Chronovisor {name}\"' /proc/bus/input/devices | grep Handlers")
        event = next(word for word in handlers.split() if word.startswith("event"))
        self.file = machine.run("mktemp")
        machine.run(f"{{ cat /dev/input/{event} >{self.file}; }} &")

    def events(self, kind: int, number: int) -> list[tuple[int, int]]:
        """The first so many events of that type, as code and value."""
        end = time.monotonic() + 20
        found: list[tuple[int, int]] = []
        while len(found) < number and time.monotonic() < end:
            data = bytes.fromhex(self.machine.run(f"hexdump -v -e '1/1 \"%02x\"' {self.file}"))
            whole = data[:len(data) // EVENT.size * EVENT.size]
            found = [(code, value) for _, _, type, code, value in EVENT.iter_unpack(whole) if type == kind]
        return found[:number]


def check_input(machine, x: int, y: int) -> None:
    keyboard, tablet = Input(machine, "USB Keyboard"), Input(machine, "USB Tablet")
    machine.press("a")
    check_equal("key events", keyboard.events(KEYS, 2), [(KEY_A, 1), (KEY_A, 0)])
    machine.move_pointer(x, y)
    check_equal("positions", tablet.events(POSITIONS, 2), [(0, x), (1, y)])


def check_serial(machine, text: str) -> None:
    machine.run(f"{{ read line </dev/ttyACM0; echo \"got $line\" >/dev/ttyACM0; }} &")
    machine.type_on("usb-device3", text + "\\r", f"got {text}")


def pull_out(machine, device: str, driver: str, content: bytes) -> None:
    """A stick goes in the middle of a read, and comes back."""
    disk = sticks(machine)[driver]
    machine.run("dmesg -n 1")  # what the kernel has to say of it would be in between our lines
    machine.run("echo 3 >/proc/sys/vm/drop_caches; rm -f /tmp/ended")
    machine.run(f"{{ while dd if=/dev/{disk} of=/dev/null bs=64k 2>/dev/null; do echo 3 >/proc/sys/vm/drop_caches; done; "
                "echo gone >/tmp/ended; } &")
    time.sleep(random.uniform(0.1, 0.4))
    machine.set_plugged(device, False)
    wait_until(machine, "[ -s /tmp/ended ]")
    wait_until(machine, f"[ ! -e /sys/block/{disk} ]")
    machine.run("dmesg | grep -q 'USB disconnect'")
    machine.set_plugged(device, True)
    wait_until(machine, f"ls -d /sys/block/sd?/device/../../../driver | xargs -n1 readlink | grep -q '/{driver}$'")
    disk = sticks(machine)[driver]
    wait_until(machine, f"mount -t ext4 -o ro /dev/{disk} /cd")
    check_equal(f"checksum after {device} came back", machine.run("sha256sum </cd/large; umount /cd").split()[0],
                hashlib.sha256(content).hexdigest())


def usb_works(lab, cpus: int) -> None:
    if lab.kind is not ChronovisorMachine:
        raise Skip("the peer is driven without USB")
    on_stick, on_uas = random.Random(3).randbytes(24 * MIB), random.Random(4).randbytes(24 * MIB)
    stick, uas = lab.ext4_disk(64, {"large": on_stick}), lab.ext4_disk(64, {"large": on_uas})
    machine = lab.linux("", "hardware", cpus=cpus, tablet=False, usbControllers=[{}],
                        disks=[{"path": str(stick), "bus": "usb"}, {"path": str(uas), "bus": "uas"}],
                        usbDevices=[{"kind": "hub"}, {"kind": "keyboard", "parent": "usb-device0"},
                                    {"kind": "tablet", "parent": "usb-device0"}, {"kind": "serial"}])
    check_equal("processors", machine.run("nproc"), str(cpus))
    wait_until(machine, "[ -b /dev/sda ] && [ -b /dev/sdb ] && [ -c /dev/ttyACM0 ]")
    disks = sticks(machine)
    check_equal("drivers of the sticks", sorted(disks), ["uas", "usb-storage"])
    machine.run(f"mkdir -p /uas; mount -t ext4 /dev/{disks['usb-storage']} /mnt; mount -t ext4 /dev/{disks['uas']} /uas")
    check_input(machine, 1000, 2000)
    check_serial(machine, "before")
    machine.run("{ sha256sum </mnt/large >/tmp/stick; } &")
    machine.run("{ sha256sum </uas/large >/tmp/uas; } &")
    for folder in ("mnt", "uas"):
        machine.run(f"{{ dd if=/dev/urandom bs=1M count=16 2>/dev/null | tee /{folder}/written | sha256sum "
                    f">/tmp/written-{folder}; sync; }} &")
    time.sleep(random.uniform(0.0, 0.8))
    machine.suspend()
    machine.restore()
    wait_until(machine, " && ".join(f"[ -s /tmp/{name} ]" for name in ("stick", "uas", "written-mnt", "written-uas")), 90)
    check_equal("checksums over the gap", [machine.run(f"cat /tmp/{name}").split()[0] for name in ("stick", "uas")],
                [hashlib.sha256(content).hexdigest() for content in (on_stick, on_uas)])
    check_input(machine, 3000, 4000)  # other ones, or Linux finds nothing new in them
    check_serial(machine, "after")
    machine.run("umount /mnt /uas")
    for image, folder in ((stick, "mnt"), (uas, "uas")):
        read = subprocess.run(["debugfs", "-R", "cat /written", str(image)], capture_output=True, check=True).stdout
        check_equal("checksum of what was written, read on the host", hashlib.sha256(read).hexdigest(),
                    machine.run(f"cat /tmp/written-{folder}").split()[0])
    pull_out(machine, "disk0", "usb-storage", on_stick)
    pull_out(machine, "disk1", "uas", on_uas)
    trouble = machine.run("dmesg | grep -iE 'xhci.*(error|warn|not respond|died|halt)|reset .*USB device|"
                          "uas_eh|BUG:|Call Trace' || true")
    if trouble:
        raise Failure(f"the guest's kernel complains: {trouble}")
    machine.console.send("poweroff -f\n")
    machine.wait_for_end(30)
    for image in (stick, uas):
        checked = subprocess.run(["e2fsck", "-fn", str(image)], capture_output=True, text=True, check=False)
        if checked.returncode != 0:
            raise Failure(f"e2fsck finds errors: {checked.stdout}")


@lab_test(seconds=200, needs=("hardware",))
def usb_works_with_1_processor(lab):
    usb_works(lab, 1)


@lab_test(seconds=200, needs=("hardware",))
def usb_works_with_4_processors(lab):
    usb_works(lab, 4)
