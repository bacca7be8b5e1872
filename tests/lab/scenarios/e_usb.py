"""Sticks, input, a hub, a serial port, sound and a gamepad on the xHCI controller, under Linux' own drivers."""

import hashlib
import os
import pathlib
import random
import re
import struct
import subprocess
import time
from unittest import mock

from l1_usb import RATE
from machines import PATIENCE, Failure
from scenario import check_equal, lab_test

MIB = 1 << 20
EVENT = struct.Struct("<qqHHi")  # struct input_event
KEY_A, KEYS, POSITIONS = 30, 1, 3
REPEATED = KEYS, 2
BTN_LEFT, BTN_SOUTH, BTN_START = 0x110, 0x130, 0x13b
ABS_X, ABS_GAS, ABS_HAT0Y = 0, 9, 17


def sticks(machine) -> dict[str, str]:
    """Which disk hangs on which driver: {"usb-storage": "sda", "uas": "sdb"}."""
    told = machine.run("for disk in /sys/block/sd?; do echo $(basename $disk) "
                       "$(basename $(readlink -f $disk/device/../../../driver)); done")
    return {driver: disk for disk, driver in (line.split() for line in told.splitlines())}


def wait_in(machine, condition: str, seconds: int = 60) -> None:
    machine.run(f"n=0; until {condition}; do n=$((n + 1)); [ $n -lt {10 * seconds} ] || break; sleep 0.1; done; "
                f"[ $n -lt {10 * seconds} ]", seconds + 20)


class Input:
    """An input device of the guest, which may be about to come: what it tells from now on."""

    def __init__(self, machine, name: str) -> None:
        self.machine = machine
        find = f"grep -A4 'Name=\"{name}\"' /proc/bus/input/devices | grep Handlers"
        wait_in(machine, f"{find} | grep -q event")
        node = "/dev/input/" + re.search(r"event\d+", machine.run(find))[0]
        wait_in(machine, f"[ -c {node} ]")
        self.file = machine.run("mktemp")
        # The shell opens it, and so it is open once this has run: the kernel keeps nothing for who opens it later.
        machine.run(f"exec 7<{node}")
        machine.run(f"cat <&7 >{self.file} &")
        machine.run("exec 7<&-")

    def told(self) -> list[tuple[int, int, int]]:
        """The events up to now, as type, code and value; the kernel repeats a key that a slow host holds."""
        data = bytes.fromhex(self.machine.run(f"od -v -A n -t x1 {self.file}"))
        whole = data[:len(data) // EVENT.size * EVENT.size]
        return [(kind, code, value) for *_, kind, code, value in EVENT.iter_unpack(whole) if (kind, value) != REPEATED]

    def events(self, kind: int, number: int) -> list[tuple[int, int]]:
        """The first so many events of that type, as code and value."""
        end = time.monotonic() + 60 * PATIENCE
        found: list[tuple[int, int]] = []
        while len(found) < number and time.monotonic() < end:
            found = [(code, value) for type, code, value in self.told() if type == kind]
        return found[:number]


def check_input(machine, x: int, y: int) -> None:
    keyboard, tablet = Input(machine, "Chronovisor USB Keyboard"), Input(machine, "Chronovisor USB Tablet")
    machine.press("a")
    check_equal("key events", keyboard.events(KEYS, 2), [(KEY_A, 1), (KEY_A, 0)])
    machine.move_pointer(x, y)
    check_equal("positions", tablet.events(POSITIONS, 2), [(0, x), (1, y)])


def check_serial(machine, text: str) -> None:
    machine.run(f"{{ read line </dev/ttyACM0; echo \"got $line\" >/dev/ttyACM0; }} &")
    machine.type_on("usb-device3", text + "\\r", f"got {text}")


def pull_out(lab, machine, device: str, driver: str, content: bytes) -> None:
    """A stick goes in the middle of a read, and comes back."""
    disk = sticks(machine)[driver]
    machine.run("echo 3 >/proc/sys/vm/drop_caches; rm -f /tmp/ended")
    machine.run(f"{{ while dd if=/dev/{disk} of=/dev/null bs=64k 2>/dev/null; do echo 3 >/proc/sys/vm/drop_caches; done; "
                "echo gone >/tmp/ended; } &")
    time.sleep(lab.random.uniform(0.1, 0.4))
    machine.set_plugged(device, False)
    wait_in(machine, "[ -s /tmp/ended ]")
    wait_in(machine, f"[ ! -e /sys/block/{disk} ]")
    wait_in(machine, "dmesg | grep -q 'USB disconnect'")
    machine.set_plugged(device, True)
    wait_in(machine, f"ls -d /sys/block/sd?/device/../../../driver | xargs -n1 readlink | grep -q '/{driver}$'")
    disk = sticks(machine)[driver]
    wait_in(machine, f"mount -t ext4 -o ro /dev/{disk} /cd")
    check_equal(f"checksum after {device} came back", machine.run("sha256sum </cd/large; umount /cd").split()[0],
                hashlib.sha256(content).hexdigest())


class Sticks:
    """A guest with a stick of either kind, each with a file; what it has from them in its /tmp is a program."""

    def __init__(self, lab, program: pathlib.Path, cpus: int, mebibytes: int, **more) -> None:
        self.content = [random.Random(seed).randbytes(mebibytes * MIB) for seed in (3, 4)]
        self.images = [lab.ext4_disk(64, {"large": content, "program": program.read_bytes()}) for content in self.content]
        self.machine = lab.linux("", "hardware", cpus=cpus, tablet=False, usbControllers=[{}], disks=[
            {"path": str(image), "bus": bus} for image, bus in zip(self.images, ("usb", "uas"))], **more)
        check_equal("processors", self.machine.run("nproc"), str(cpus))
        wait_in(self.machine, "[ -b /dev/sda ] && [ -b /dev/sdb ]")
        disks = sticks(self.machine)
        check_equal("drivers of the sticks", sorted(disks), ["uas", "usb-storage"])
        self.machine.run(f"mkdir -p /uas; mount -t ext4 /dev/{disks['usb-storage']} /mnt; "
                         f"mount -t ext4 /dev/{disks['uas']} /uas; "
                         f"cp /mnt/program /tmp/{program.name}; chmod +x /tmp/{program.name}")
        self.machine.run("dmesg -n 1")  # what the kernel has to say of a stick that goes would be in between our lines

    def copy_over_a_suspend(self, lab, mebibytes: int) -> None:
        """Both are read and written at once when the machine goes away and comes back. Then they are not mounted any more."""
        machine = self.machine
        machine.run("{ sha256sum </mnt/large >/tmp/stick; } &")
        machine.run("{ sha256sum </uas/large >/tmp/uas; } &")
        for folder in ("mnt", "uas"):
            machine.run(f"{{ dd if=/dev/urandom bs=1M count={mebibytes} 2>/dev/null | tee /{folder}/written | sha256sum "
                        f">/tmp/written-{folder}; sync; }} &")
        time.sleep(lab.random.uniform(0.0, 0.8))
        machine.suspend()
        machine.restore()
        wait_in(machine, " && ".join(f"[ -s /tmp/{name} ]" for name in ("stick", "uas", "written-mnt", "written-uas")), 90)
        check_equal("checksums over the gap", [machine.run(f"cat /tmp/{name}").split()[0] for name in ("stick", "uas")],
                    [hashlib.sha256(content).hexdigest() for content in self.content])
        machine.run("umount /mnt /uas")
        for image, folder in zip(self.images, ("mnt", "uas")):
            read = subprocess.run(["debugfs", "-R", "cat /written", str(image)], capture_output=True, check=True).stdout
            check_equal("checksum of what was written, read on the host", hashlib.sha256(read).hexdigest(),
                        machine.run(f"cat /tmp/written-{folder}").split()[0])

    def unplug(self) -> None:
        for device in ("disk0", "disk1"):
            self.machine.call("machine.setPlugged", device=device, plugged=False)
        wait_in(self.machine, "! ls -d /sys/block/sd?")

    def end(self, lab, besides: str) -> None:
        end_without_trouble(self.machine, besides)
        for image in self.images:
            lab.check_ext4(image)


def loopback() -> int:
    """A sound card of L1's, whose two devices hear each other; its number."""
    subprocess.run(["modprobe", "snd-aloop"], check=True)
    return int(next(pathlib.Path("/proc/asound").glob("Loopback")).resolve().name.removeprefix("card"))


def check_heard(told: str, seconds: float) -> None:
    longest, others = (int(word) for word in told.split())
    if longest < seconds * RATE or others:
        raise Failure(f"of a tone of {seconds} s and more {longest / RATE:.3f} s were heard without a gap, "
                      f"and something in {others} frames where it is not")


def check_playing(machine, tone: pathlib.Path, card: int) -> None:
    """Two seconds of the guest's, in a recording of five."""
    with subprocess.Popen([tone, "record", f"/dev/snd/pcmC{card}D1c", "2", "5"], stdout=subprocess.PIPE, text=True) as recorder:
        machine.run("/tmp/tone play /dev/snd/pcmC0D0p 2 2", 30)
        told = recorder.communicate()[0]
        if recorder.returncode != 0:
            raise Failure("the recording of the test's own has a gap")
    check_heard(told, 1.95)


def check_suspended(machine, tone: pathlib.Path, card: int) -> None:
    """A tone of six seconds goes on where the machine was suspended, within its first two, and is heard to its end."""
    with subprocess.Popen([tone, "record", f"/dev/snd/pcmC{card}D1c", "2", "30"], stdout=subprocess.PIPE, text=True) as recorder:
        machine.run("{ /tmp/tone play /dev/snd/pcmC0D0p 2 6; echo $? >/tmp/ended; } >/tmp/told 2>&1 & sleep 1")
        machine.suspend()
        machine.restore()
        wait_in(machine, "[ -s /tmp/ended ]")
        check_equal("end of the player", machine.run("cat /tmp/told /tmp/ended"), "0")
        told = recorder.communicate()[0]
        if recorder.returncode != 0:
            raise Failure("the recording of the test's own has a gap")
    check_heard(told, 3.5)


def check_recording(machine, tone: pathlib.Path, card: int) -> None:
    """Of a tone that goes on the guest records two seconds."""
    with subprocess.Popen([tone, "play", f"/dev/snd/pcmC{card}D1p", "1", "60"]) as player:
        told = machine.run("/tmp/tone record /dev/snd/pcmC0D0c 1 2", 30)
        player.kill()
    check_heard(told, 1.5)


def check_pad(machine, pad: Input, times: int) -> None:
    machine.play_pad("usb-device1", "south", "up", "--left", "-1", "0", "--triggers", "0", "1")
    machine.play_pad("usb-device1", "start")
    machine.play_pad("usb-device1")
    keys = pad.events(KEYS, 6 * times)
    for expected in [(BTN_SOUTH, 1), (BTN_SOUTH, 0), (BTN_START, 1), (BTN_START, 0)]:
        check_equal(f"times of {expected}", keys.count(expected), times)
    axes = pad.events(POSITIONS, 6 * times + 3)  # what is in the middle is told once
    for expected in [(ABS_HAT0Y, -1), (ABS_HAT0Y, 0), (ABS_X, 1), (ABS_X, 128), (ABS_GAS, 255), (ABS_GAS, 0)]:
        check_equal(f"times of {expected}", axes.count(expected), times)


def check_mouse(machine, mouse: Input, times: int) -> None:
    machine.call("machine.sendPointer", x=0, y=0, click="left")  # there is no tablet to have it
    check_equal("clicks", mouse.events(KEYS, 2 * times), times * [(BTN_LEFT, 1), (BTN_LEFT, 0)])


def with_play(lab, **more):
    return lab.linux("lab.cd" if "cds" in more else "", "hardware", cpus=2, tablet=False, usbControllers=[{}],
                     usbDevices=[{"kind": "audio"}, {"kind": "gamepad"}, {"kind": "mouse"}], **more)


# That a stream has nothing more to play (14) or nowhere to record to (15) is told when the time of its next packet comes. Where
# the guest ends the endpoint in that very frame it reads the event afterwards, of a real controller as of ours, and Linux calls any
# event an error then; the line below it has the event's code.
ENDED_AS_IT_RAN_EMPTY = "/Transfer event for disabled endpoint/{N;/ 0[ef]000000 [0-9a-f]*$/d}"


def check_for_trouble(machine, besides: str = "^$") -> None:
    trouble = machine.run(f"dmesg | sed '{ENDED_AS_IT_RAN_EMPTY}' | grep -v '{besides}' | "
                          "grep -iE 'xhci.*(error|warn|not respond|died|halt)|"
                          "reset .*USB device|uas_eh|usb.*(cannot|invalid|failed)|BUG:|Call Trace' || true")
    if trouble:
        raise Failure(f"the guest's kernel complains: {trouble}")


def end_without_trouble(machine, besides: str = "^$") -> None:
    check_for_trouble(machine, besides)
    machine.console.send("poweroff -f\n")
    machine.wait_for_end(30)


@lab_test(seconds=200, needs=("hardware",), usb=True)
def a_pad_and_a_mouse_play_beside_a_sound_card(lab):
    machine = with_play(lab)
    wait_in(machine, "[ -c /dev/snd/pcmC0D0p ] && [ -c /dev/snd/pcmC0D0c ]")
    check_equal("name of the card", machine.run("cat /proc/asound/card0/id"), "Audio")
    pad, mouse = Input(machine, "Chronovisor USB Gamepad"), Input(machine, "Chronovisor USB Mouse")
    told = machine.run("grep -A8 'Name=\"Chronovisor USB Mouse\"' /proc/bus/input/devices | grep REL=")
    check_equal("relative axes", told.split("REL=")[1], "1943")  # X, Y and two wheels, these in fine steps as well
    check_pad(machine, pad, 1)
    check_mouse(machine, mouse, 1)
    machine.suspend()
    machine.restore()
    check_pad(machine, pad, 2)
    check_mouse(machine, mouse, 2)
    end_without_trouble(machine)


@lab_test(seconds=240, needs=("hardware",), usb=True, steady=True)
def sound_is_heard(lab):
    """A thousand packets a second, each in its millisecond: more than a software CPU keeps up with, but in an L1 where that
    takes as long as it takes."""
    card = loopback()
    tone = lab.program("tone")
    disc = lab.iso({"tone": tone.read_bytes()})
    with mock.patch.dict(os.environ, SDL_AUDIODRIVER="alsa", AUDIODEV=f"hw:{card},0"):
        machine = with_play(lab, cds=[{"path": str(disc)}])
        machine.run("cp /cd/tone /tmp/tone; chmod +x /tmp/tone")
        wait_in(machine, "[ -c /dev/snd/pcmC0D0p ] && [ -c /dev/snd/pcmC0D0c ]")
        # What reads its programs from a disk meanwhile is late, and not for what is tested.
        machine.run("/tmp/tone play /dev/snd/pcmC0D0p 2 0.3 && /tmp/tone record /dev/snd/pcmC0D0c 1 0.3", 30)
        check_playing(machine, tone, card)
        check_recording(machine, tone, card)
        check_suspended(machine, tone, card)
        check_playing(machine, tone, card)
    end_without_trouble(machine)
