"""A gamepad of the host's plays in the guest, from its reports to what the guest's drivers tell: through L1's drivers, udev and
SDL2 as what plays the machine's own gamepad, and in between as a device that was given to the guest. Each step on that way is
waited for by itself, so that what fails says how far it came."""

import contextlib
import fcntl
import os
import pathlib
import struct
import subprocess

from l1_usb import Pad, pad_of_host, udev_rules, udevadm
from machines import Failure, wait_until
from scenario import lab_test
from scenarios.e_usb import ABS_X, BTN_SOUTH, BTN_START, KEYS, POSITIONS, Input, end_without_trouble
from scenarios.f_host_usb import DEVICES, SAY_NOTHING, driver_of
from scenarios.h_devices_of_the_host import attach, new_port, ports, tell_of_devices

BTN_EAST = 0x131
ABS_Y, ABS_Z, ABS_RX, ABS_RY, ABS_RZ = 1, 2, 3, 4, 5
# linux/input.h
EVIOCGKEY, EVIOCGABS = 0x80604518, 0x80184540
# Linux' name of a button, and which bit it is of the pad's: it counts them from BTN_SOUTH on.
BITS = {key: 1 << (key - BTN_SOUTH) for key in (BTN_SOUTH, BTN_EAST, BTN_START)}
IN_THE_MIDDLE, TILTED = (128, 128, 128, 128), (255, 0, 0, 255)
TILTED_OWN = (255, 1, 1, 255)  # the machine's gamepad has its middle as far from one end as from the other


class Seen:
    """What the guest tells of a gamepad, whose sticks are these axes."""

    def __init__(self, machine, name: str, axes: tuple[int, ...]) -> None:
        self._input, self._name, self._axes = Input(machine, name), name, axes
        self.keys: list[tuple[int, int]] = []  # all that it is to have told

    def wait(self, keys: list[tuple[int, int]], sticks: tuple[int, ...]) -> None:
        """Until it has told of these keys too, in this order and of no others, and of the sticks there."""
        self.keys += keys
        told: list[tuple[int, int, int]] = []

        def is_so() -> bool:
            nonlocal told
            told = self._input.told()
            positions = {code: value for kind, code, value in told if kind == POSITIONS}
            return (self.keys == [(code, value) for kind, code, value in told if kind == KEYS]
                    and sticks == tuple(positions.get(axis) for axis in self._axes))

        try:
            wait_until(f"the guest tells of {self._name}: keys {self.keys}, sticks {sticks}", is_so)
        except Failure as why:
            raise Failure(f"{why}; it has told of {told}") from None


def node_of_pad(port: str) -> pathlib.Path:
    """In L1, once it is what SDL looks for."""
    wait_until("L1's usbhid has the pad", lambda: driver_of(port) == "usbhid")
    interface = DEVICES / f"{port}:1.0"
    wait_until("L1's evdev has the pad", lambda: any(interface.glob("*/input/input*/event*")))
    node = pathlib.Path("/dev/input", next(interface.glob("*/input/input*/event*")).name)
    wait_until(f"{node} is there", node.is_char_device)
    wait_until("udev calls the pad a joystick", lambda: "\nID_INPUT_JOYSTICK=1\n" in subprocess.run(
        [udevadm(), "info", "--query=property", node], stdout=subprocess.PIPE, text=True, check=False).stdout)
    return node


def has_open(machine, node: pathlib.Path) -> bool:
    for file in pathlib.Path(f"/proc/{machine.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            if os.readlink(file) == str(node):
                return True
    return False


@contextlib.contextmanager
def player(machine, pad: Pad, port: str):
    """To play with the pad while it is L1's, and its SDL has it: play(buttons, sticks)."""
    # Open until the end. Linux throws away what a pad says in the first 50 ms after somebody has opened it whom nobody else had
    # (usbhid_open()), and what is played as SDL does that would be lost.
    node = node_of_pad(port)
    with open(node, "rb", buffering=0) as file:
        wait_until("the machine's SDL has opened the pad", lambda: has_open(machine, node))

        def state() -> tuple[set[int], tuple[int, ...]]:
            bits = int.from_bytes(fcntl.ioctl(file, EVIOCGKEY, bytes(96)), "little")
            keys = {key for key in BITS if bits >> key & 1}
            return keys, tuple(struct.unpack_from("i", fcntl.ioctl(file, EVIOCGABS + axis, bytes(24)))[0]
                               for axis in (ABS_X, ABS_Y, ABS_RX, ABS_RY))

        def play(keys: set[int], sticks: tuple[int, ...]) -> None:
            pad.play(sum(BITS[key] for key in keys), sticks)
            wait_until(f"L1's kernel tells of keys {keys}, sticks {sticks}", lambda: state() == (keys, sticks))

        play(set(), IN_THE_MIDDLE)
        yield play


def play_own(play, own: Seen, key: int) -> None:
    play({key}, TILTED)
    own.wait([(key, 1)], TILTED_OWN)
    play(set(), IN_THE_MIDDLE)
    own.wait([(key, 0)], IN_THE_MIDDLE)


def play_given(pad: Pad, given: Seen, key: int) -> None:
    pad.play(0, IN_THE_MIDDLE)
    pad.play(BITS[key], TILTED)
    given.wait([(key, 1)], TILTED)
    pad.play(0, IN_THE_MIDDLE)
    given.wait([(key, 0)], IN_THE_MIDDLE)


@lab_test(seconds=240, needs=("hardware",), usb=True)
def a_gamepad_of_the_host_plays_in_the_guest(lab):
    tell_of_devices()
    subprocess.run(["modprobe", "evdev"], check=True)
    machine = lab.linux("", "hardware", cpus=2, tablet=False, usbControllers=[{}], usbDevices=[{"kind": "gamepad"}])
    machine.run(SAY_NOTHING)
    own = Seen(machine, "Chronovisor USB Gamepad", (ABS_X, ABS_Y, ABS_Z, ABS_RZ))
    before = ports()
    what_is_what = pathlib.Path(os.environ["LAB_UDEV"]) / "lib/udev/rules.d/60-input-id.rules"
    with udev_rules(what_is_what), pad_of_host("Lab", "Pad") as pad:
        port = new_port(before, "pad")
        with player(machine, pad, port) as play:
            play_own(play, own, BTN_SOUTH)
            play({BTN_START}, TILTED)
            own.wait([(BTN_START, 1)], TILTED_OWN)
            attach(machine, port)
            own.wait([(BTN_START, 0)], IN_THE_MIDDLE)  # it has lost its pad, on which nobody lets go of anything any more
        play_given(pad, Seen(machine, "Lab Pad", (ABS_X, ABS_Y, ABS_RX, ABS_RY)), BTN_EAST)
        machine.call("machine.detachUsb", device=port)
        with player(machine, pad, port) as play:
            play_own(play, own, BTN_SOUTH)
    end_without_trouble(machine)
