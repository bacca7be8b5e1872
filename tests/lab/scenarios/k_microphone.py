"""What a device of the host's sends isochronously, 8000 packets a second, comes to the guest whole. QEMU has no such device for
L1, and dummy_hcd carries no such transfers; so it is a program in L1 (microphone.c), on a controller that L1's kernel makes of a
socket. Another one (source_sink.c) is what usbtest tries isochronous transfers on, of each direction, and a low-speed device, of
which QEMU has none either."""

import os
import pathlib
import subprocess

from l1_usb import played
from machines import Failure
from scenario import check_equal, lab_test
from scenarios.e_usb import end_without_trouble, wait_in
from scenarios.f_host_usb import node_of
from scenarios.h_devices_of_the_host import DEVICES, attach, new_port, node_in_guest, plug_into, ports
from scenarios.i_gadget_zero import DRIVEN

SECONDS = int(os.environ.get("LAB_STREAM_SECONDS", "2"))
RATE = 8000  # packets a second
NUMBERS = "1209/1"
TESTED = "525/a4a0"
REQUESTS = 8  # under way at any time, each of 8 ms: as much as a machine gives to its host ahead


def read_by_host(stream: pathlib.Path, node: pathlib.Path, requests: int) -> list[int]:
    """In a second: packets that came whole, numbers that were missing, packets with an error."""
    told = subprocess.run([stream, node, "1", str(requests)], stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    return [int(word) for word in told.split()]


def read_by_guest(machine, node: str, seconds: int) -> list[int]:
    return [int(word) for word in machine.run(f"/tmp/stream {node} {seconds} {REQUESTS}", seconds + 60).split()]


def check_host(stream: pathlib.Path, node: pathlib.Path) -> None:
    """It has all that is sent, and is told what it is late for."""
    check_equal("what L1 reads", read_by_host(stream, node, REQUESTS), [RATE, 0, 0])
    came, missing, errors = read_by_host(stream, node, 1)  # asked for when the packets before have come
    check_equal("what L1 reads with gaps", [came, errors], [RATE, 0])
    if missing == 0:
        raise Failure("whoever asks late misses nothing of what the microphone sends")


def usbtest_is_content(lab, machine, kind: str, at: int, speed: str, tests: str) -> None:
    """At that port of the controller's: where another has just gone, nothing new would be seen to come."""
    before = ports()
    with played(lab.program("source_sink"), kind, str(at)):
        port = new_port(before, f"{kind} device")
        check_equal("speed in L1", (DEVICES / port / "speed").read_text(encoding="ascii").strip(), speed)
        attach(machine, port)
        node = node_in_guest(machine, TESTED)
        wait_in(machine, f"ls -d {DRIVEN}")
        check_equal("speed in the guest", machine.run(f"cat $(readlink -f {DRIVEN})/../speed"), speed)
        status, told = machine.try_run(f"/tmp/usbtest {node} {tests}", 120)
        if status != 0:
            raise Failure(f"usbtest: {told}")
        machine.call("machine.detachUsb", device=port)
        wait_in(machine, f"! ls -d {node}")


@lab_test(seconds=240 + 3 * SECONDS, needs=("hardware",), usb=True, steady=True)
def a_microphone_of_the_host_is_heard_without_a_gap(lab):
    stream = lab.program("stream")
    machine = plug_into(lab, stream, lab.program("usbtest"))
    before = ports()
    with played(lab.program("microphone")):
        port = new_port(before, "microphone")
        check_host(stream, node_of(DEVICES / port))
        attach(machine, port)
        node = node_in_guest(machine, NUMBERS)
        read_by_guest(machine, node, 1)  # L1 reads from its disk what the machine's process runs for it, and that is late
        check_equal("what the guest reads", read_by_guest(machine, node, SECONDS), [RATE * SECONDS, 0, 0])
    # In this order: usbtest keeps an alternate setting that it has found for the devices that come later.
    usbtest_is_content(lab, machine, "slow", 1, "1.5", "slow")
    usbtest_is_content(lab, machine, "fast", 2, "480", "isochronous")
    end_without_trouble(machine)
