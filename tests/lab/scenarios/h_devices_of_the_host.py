"""Devices of the host's of many kinds in a guest, under its own drivers: a hand (l1_usb.py) plugs them into L1, on either of
its controllers and behind a hub, plays on them, and pulls them out in the middle of their work."""

import hashlib
import os
import pathlib
import subprocess

from l1_usb import CARD_NETWORK, MIB, STICK_SERIAL, Hand, Line, Refused, start_udev, stick_file
from machines import Failure, wait_until
from scenario import check_equal, lab_test, not_downloaded
from scenarios.b_debian_disk import debian, switch_off
from scenarios.e_usb import KEYS, POSITIONS, Input, check_for_trouble, check_heard, end_without_trouble, wait_in
from scenarios.f_host_usb import (ROUNDS, SAY_NOTHING, check_file, check_in_guest, check_written, come_and_go,
                                  come_and_go_mounted, disk_of_stick, disk_on_host, driver_of, write_random)

KEY_B = 48
DEVICES = pathlib.Path("/sys/bus/usb/devices")
XHCI, EHCI = {"bus": "usb.0"}, {"bus": "ehci.0"}
# What is to come back says where: QEMU would take another port.
HUB, KEYBOARD = {**XHCI, "port": "2"}, {**XHCI, "port": "2.1"}
STICK = {**XHCI, "port": "1", "drive": "stick", "serial": STICK_SERIAL}
# Linux counts the devices of a bus; SCSI hosts and disks get numbers that have become free.
STICK_NUMBERS = "/sys/block/sd?/device/../../../../devnum"

# What a device is asked, and how its answers begin.
READER_STATUS = "65 0 0 0 0 0 7 0 0 0"  # PC_to_RDR_GetSlotStatus of USB's CCID class
READER_ANSWERS = ["81000000000007"]
PHONE_INFO = "c 0 0 0 1 0 1 10 0 0 0 0"  # PIMA 15740, GetDeviceInfo, in a container of USB's Still Image class
PHONE_ANSWERS = [("0200", "0110"), ("0300", "0120")]  # data, and that all is well: at bytes 4 and 6


def ports() -> set[str]:
    """Of L1, where something is plugged in; a controller's own hub is at its port 0."""
    return {entry.name[:-4] for entry in DEVICES.iterdir() if entry.name.endswith(":1.0") and "-0:" not in entry.name}


def attach(machine, port: str) -> None:
    def attached() -> bool:
        try:
            machine.call("machine.attachUsb", device=port, really=True)  # L1 may be using it
            return True
        except Failure as why:
            if "not-found" not in str(why):  # udev has not told of it yet
                raise
            return False

    wait_until(f"the device at {port} can be attached", attached)
    wait_until(f"the machine has the device at {port}", lambda: driver_of(port) == "usbfs")


def new_port(before: set[str], name: str) -> str:
    """Where something has come, beside those."""
    wait_until(f"L1 has the {name}", lambda: ports() - before)
    return min(ports() - before)


def attach_new(machine, before: set[str], name: str) -> str:
    """What comes to another port than those; its port."""
    port = new_port(before, name)
    attach(machine, port)
    return port


def give(machine, hand: Hand, driver: str, name: str, **properties) -> str:
    """Plugged into L1, and given to the machine; its port."""
    before = ports()
    hand.plug_in(driver, name, **properties)
    return attach_new(machine, before, name)


def plug_in_hub(hand: Hand) -> None:
    """With the keyboard in it."""
    hand.plug_in("usb-hub", "hub", **HUB)
    hand.plug_in("usb-kbd", "keyboard", stays=True, **KEYBOARD)


def give_hub(machine, hand: Hand) -> None:
    """The keyboard in it is the machine's then; the hub stays L1's."""
    before = ports()
    plug_in_hub(hand)
    attach(machine, new_port(before, "hub") + ".1")  # a hub's port sorts before those of what is in it


def node_in_guest(machine, numbers: str) -> str:
    """usbfs' of the device of these numbers, once it is there."""
    wait_in(machine, f"grep -q 'PRODUCT={numbers}/' /sys/bus/usb/devices/*:1.0/uevent")
    return machine.run(f". $(grep -l 'PRODUCT={numbers}/' /sys/bus/usb/devices/*/uevent | grep -v : | head -n 1); "
                       "echo /dev/$DEVNAME")


def asked(machine, numbers: str, out: str, into: str, answers: int, question: str) -> list[str]:
    """What the device of these numbers answers, in hexadecimal."""
    node = node_in_guest(machine, numbers)
    return machine.run(f"/tmp/bulk {node} {out} {into} {answers} {question}").split()


def check_typing(machine, hand: Hand) -> None:
    keyboard = Input(machine, "QEMU QEMU USB Keyboard")
    hand.press("b")
    check_equal("key events", keyboard.events(KEYS, 2), [(KEY_B, 1), (KEY_B, 0)])


def check_pointing(machine, hand: Hand) -> None:
    tablet = Input(machine, "QEMU QEMU USB Tablet")
    # Until it is read, QEMU gives what is pointed at to another pointer of L1's.
    wait_until("the tablet is read", lambda: (hand.point(1, 2), machine.run(f"wc -c <{tablet.file}"))[1] != "0")
    hand.point(1234, 4321)
    check_equal("positions", tablet.events(POSITIONS, 4), [(0, 1), (1, 2), (0, 1234), (1, 4321)])


def check_answer(line: Line) -> None:
    # What comes while it is being opened its driver throws away.
    wait_until("the guest answers on the serial adapter", lambda: (line.send("hello"), line.receive(2))[1] == "got hello")


def check_line(machine, line: Line) -> None:
    wait_in(machine, "ls /dev/ttyUSB*")
    port = machine.run("ls /dev/ttyUSB*")
    machine.run(f"stty -F {port} raw -echo; {{ while read word; do echo \"got $word\"; done <{port} >{port}; }} &")
    check_answer(line)
    line.send("again and in full, over more than one packet of the adapter's: " + "0123456789" * 8)
    wait_until("all of a long line comes back", lambda: line.receive(5).endswith("0123456789" * 8))


def check_network(machine) -> None:
    """Its system is told of such cards, and gives one an address."""
    machine.run("mkdir -p /run/systemd/network; sed 's/^Name=.*/Name=usb*/' /etc/systemd/network/lan.network "
                ">/run/systemd/network/card.network; networkctl reload")
    wait_in(machine, f"ip -4 -o addr show | grep -qF ' {CARD_NETWORK}.'")
    machine.run(f"ping -c 3 -W 5 -s 1400 {CARD_NETWORK}.2", 30)


class Devices:
    """All that the hand plugs in, and what each of them is to do in the guest."""

    def __init__(self, machine, hand: Hand, line: Line) -> None:
        self.machine, self.hand, self.line = machine, hand, line
        give_hub(machine, hand)
        give(machine, hand, "usb-tablet", "tablet", **EHCI)
        give(machine, hand, "usb-serial", "adapter", **XHCI, chardev="line")
        give(machine, hand, "usb-net", "network", **XHCI, netdev="net")
        give(machine, hand, "usb-mtp", "phone", **EHCI, rootdir=os.environ["LAB_PHONE"])
        give(machine, hand, "usb-ccid", "reader", **XHCI)

    def check(self) -> None:
        check_typing(self.machine, self.hand)
        check_pointing(self.machine, self.hand)
        check_line(self.machine, self.line)
        check_network(self.machine)
        told = asked(self.machine, "46f4/4", "2", "81", len(PHONE_ANSWERS), PHONE_INFO)
        check_equal("answers of the phone", [(answer[8:12], answer[12:16]) for answer in told], PHONE_ANSWERS)
        told = asked(self.machine, "8e6/4433", "3", "82", len(READER_ANSWERS), READER_STATUS)
        check_equal("answers of the reader", [answer[:14] for answer in told], READER_ANSWERS)


def port_of_stick() -> str:
    return next(entry.parent.name for entry in DEVICES.glob("*/serial")
                if entry.read_text(encoding="ascii").strip() == STICK_SERIAL)


def pull_out_in_mid_copy(machine, hand: Hand) -> None:
    """The stick, which comes back by itself: it was the machine's."""
    attach(machine, port_of_stick())
    wait_in(machine, "mount -t ext4 -o ro /dev/sda /mnt")
    before = machine.run(f"cat {STICK_NUMBERS}")
    machine.run("{ while cp /mnt/large /tmp/copy 2>/dev/null; do echo 3 >/proc/sys/vm/drop_caches; done; "
                "echo gone >/tmp/ended; } &")
    wait_in(machine, "[ -s /tmp/copy ]")
    hand.pull_out("stick")

    def is_back() -> bool:
        try:
            hand.plug_in("usb-storage", "stick", stays=True, **STICK)
            return True
        except Refused:  # QEMU has not let go of its file yet
            return False

    wait_until("the stick is plugged in again", is_back)
    wait_in(machine, "[ -s /tmp/ended ]")
    machine.run("umount /mnt")
    try:
        wait_in(machine, f"cat {STICK_NUMBERS} | grep -qvx {before}")
    except Failure as why:
        raise Failure(f"{why}; {machine.call('machine.hostUsb')}") from None
    check_file(machine, disk_of_stick(machine))


def pull_out_hub(machine, hand: Hand, line: Line) -> None:
    """While the guest reads the keyboard that is in it. That one comes back by itself, too; the others stay."""
    before = numbers_of(machine)
    hand.pull_out("hub")
    wait_in(machine, "! grep -q 'QEMU USB Keyboard' /proc/bus/input/devices")
    check_answer(line)
    plug_in_hub(hand)
    check_typing(machine, hand)
    check_equal("devices that are new", len(numbers_of(machine) - before), 1)


def numbers_of(machine) -> set[tuple[str, ...]]:
    """The guest's USB devices and their numbers."""
    told = machine.run("for device in /sys/bus/usb/devices/*-*/devnum; do echo $device $(cat $device); done 2>/dev/null")
    return {tuple(line.split()) for line in told.splitlines()}


def hubs_of(machine) -> int:
    return int(machine.run("cat /sys/bus/usb/devices/*-*/bDeviceClass | grep -c 09"))


def suspend_and_restore(machine) -> None:
    """Each device is a new one to the guest then, which has let go of the old ones."""
    before = numbers_of(machine)
    machine.suspend()
    machine.restore()
    wait_for_new_devices(machine, before)


def wait_for_new_devices(machine, before: set[tuple[str, ...]]) -> None:
    def all_are_new() -> bool:
        after = numbers_of(machine)
        return len(after) == len(before) and not after & before and all(len(entry) == 2 for entry in after)

    wait_until("the guest has all its devices anew", all_are_new)


def tell_of_devices() -> None:
    """udev does."""
    if "LAB_UDEV" not in os.environ:
        raise not_downloaded("nothing can be plugged into this L1 while it runs")
    start_udev()


def plug_into(lab, *programs: pathlib.Path, **more):
    """A guest that has a past, these programs in its /tmp, and room for what will be plugged in."""
    tell_of_devices()
    disc = lab.iso({program.name: program.read_bytes() for program in programs})
    machine = lab.linux("lab.cd", "hardware", with_past=True, cpus=2, tablet=False, usbControllers=[{}],
                        cds=[{"path": str(disc)}], **more)
    for program in programs:
        machine.run(f"dmesg -n 1; cp /cd/{program.name} /tmp; chmod +x /tmp/{program.name}")
    return machine


def debian_with_program(lab, program: pathlib.Path):
    """In its /tmp; nothing else in it is ours."""
    disc = lab.iso({program.name: program.read_bytes()})
    # The keyboard has the first connector, the stick the USB 3 port of one; the others are behind a hub in the last.
    machine = debian(lab, firmware="seabios", tablet=False, usbControllers=[{"connectors": 2}], cds=[{"path": str(disc)}])
    machine.run(f"{SAY_NOTHING}; mount -o ro /dev/sr0 /mnt && install -t /tmp /mnt/* && umount /mnt")
    return machine


@lab_test(seconds=900, needs=("debian",), usb=True)
def a_whole_debian_works_with_devices_of_the_host(lab):
    """As SeaBIOS starts it, with its own kernel, initramfs, udev and systemd; through all that can happen to them."""
    tell_of_devices()
    line = Line("line")
    machine = debian_with_program(lab, lab.program("bulk"))
    with Hand() as hand:
        hand.plug_in("usb-mouse", "mouse", **XHCI, port="8")  # L1's own: its only pointer a restore would not take
        wait_until("L1 has a mouse", lambda: any(pathlib.Path("/sys/class/input").glob("mouse*")))
        devices = Devices(machine, hand, line)
        devices.check()
        check_equal("hubs of the guest besides the controller's own", hubs_of(machine), 1)
        come_and_go_mounted(machine, port_of_stick())
        come_and_go(machine, port_of_stick(), ROUNDS)
        pull_out_in_mid_copy(machine, hand)
        pull_out_hub(machine, hand, line)
        suspend_and_restore(machine)
        devices.check()
        check_file(machine, disk_of_stick(machine))
        # Its driver says that it cannot talk to an adapter that is pulled out while it is open.
        check_for_trouble(machine, besides="ftdi_sio ttyUSB")
        switch_off(lab, machine)
    line.close()


def disk_of_uas(machine) -> str:
    """The disk's commands travel in streams: it is one of USB 3's."""
    wait_in(machine, "readlink -f /sys/block/sd?/device/../../../driver | grep -q /uas$")
    check_equal("speed", machine.run("cat /sys/block/sd?/device/../../../../speed"), "5000")
    return disk_of_stick(machine)


def check_file_in_parts(machine, disk: str) -> None:
    """Read by four at once: of a UAS disk as many commands are on their way, each in its stream."""
    machine.run(f"until mount -t ext4 -o ro /dev/{disk} /mnt; do sleep 0.1; done")
    told = machine.run("( for i in 0 1 2 3; do dd if=/mnt/large bs=1M skip=$((3 * i)) count=3 2>/dev/null | sha256sum >/tmp/part$i & "
                       "done; wait ); umount /mnt; cat /tmp/part?")
    content, part = stick_file(), 3 * MIB
    check_equal("checksums of the parts", [line.split()[0] for line in told.splitlines()],
                [hashlib.sha256(content[first:first + part]).hexdigest() for first in range(0, len(content), part)])


def disk_works(machine, disk: str, port: str, driver: str) -> None:
    """Read and written by the guest, which has no other; in the end that driver of the host's has it."""
    check_file_in_parts(machine, disk)
    written = write_random(machine, disk, 16)
    machine.call("machine.detachUsb", device=port)
    wait_in(machine, "! ls -d /sys/block/sd?")
    check_written(disk_on_host(port, driver), 16, written)


def stick_works(machine) -> None:
    port = port_of_stick()
    attach(machine, port)
    disk_works(machine, disk_of_stick(machine), port, "usb-storage")


def uas_disk_works(machine) -> None:
    subprocess.run(["modprobe", "uas"], check=True)
    with Hand() as hand:
        port = give(machine, hand, "usb-uas", "uas", disk="disk", **XHCI)
        disk_works(machine, disk_of_uas(machine), port, "uas")


@lab_test(seconds=200, needs=("hardware",), usb=True)
def a_uas_disk_of_the_host_works_in_the_guest(lab):
    machine = plug_into(lab, lab.program("bulk"))
    subprocess.run(["modprobe", "uas"], check=True)
    with Hand() as hand:
        port = give(machine, hand, "usb-uas", "uas", disk="disk", **XHCI)
        disk = disk_of_uas(machine)
        check_file(machine, disk)
        written = write_random(machine, disk, 16)
        # Several commands at once, each in its stream, when the machine goes to a moment.
        reads = f"cut -c 1-8 /sys/block/{disk}/stat"  # Linux, Documentation/block/stat.rst: the first of its numbers
        reads_before = machine.run(reads)
        machine.run(f"{{ for i in 0 1 2 3; do while [ ! -e /tmp/stop ] && dd if=/dev/{disk} of=/dev/null bs=64k "
                    "skip=$((i * 64)) 2>/dev/null; do echo 3 >/proc/sys/vm/drop_caches; done & done; wait; "
                    "echo gone >/tmp/ended; } &")
        wait_in(machine, f"[ $({reads}) -gt {reads_before} ]")
        machine.keep("while it is read")
        before = numbers_of(machine)
        machine.go_to("while it is read")
        wait_for_new_devices(machine, before)
        machine.run("touch /tmp/stop")
        wait_in(machine, "[ -s /tmp/ended ]")
        disk = disk_of_uas(machine)
        check_file(machine, disk)
        check_in_guest(machine, disk, 16, written)
        end_without_trouble(machine)
        check_written(disk_on_host(port, "uas"), 16, written)


def heard_by_card(tone: pathlib.Path, before: int) -> str:
    """What the card has had since that many bytes, as `tone hear` tells it."""
    with open(os.environ["LAB_HEARD"], "rb") as file:
        file.seek(before)
        return subprocess.run([tone, "hear", "2"], stdin=file, stdout=subprocess.PIPE, text=True, check=True).stdout


def check_heard_by_card(machine, tone: pathlib.Path) -> None:
    """Five seconds of the guest's are what the card has had, whole."""
    wait_in(machine, "[ -c /dev/snd/pcmC0D0p ]")
    play = "/tmp/tone play /dev/snd/pcmC0D0p 2"
    machine.run(f"{play} 0.3", 60)  # what it plays with comes from the disk, or from the moment, which takes its time
    before = os.stat(os.environ["LAB_HEARD"]).st_size
    machine.run(f"{play} 5", 120)
    check_heard(heard_by_card(tone, before), 4.9)


@lab_test(seconds=240, needs=("hardware",), usb=True, steady=True)
def a_sound_card_of_the_host_plays_without_a_gap(lab):
    """A thousand packets a second that go through usbfs, and go on after the machine has gone to a moment."""
    tone = lab.program("tone")
    machine = plug_into(lab, tone)
    with Hand() as hand:
        give(machine, hand, "usb-audio", "card", **XHCI, audiodev="heard")
        check_heard_by_card(machine, tone)
        machine.run("{ /tmp/tone play /dev/snd/pcmC0D0p 2 60; echo $? >/tmp/ended; } 2>/dev/null &")
        wait_in(machine, "grep -q RUNNING /proc/asound/card0/pcm0p/sub0/status")
        machine.keep("while it plays")
        before = numbers_of(machine)
        machine.go_to("while it plays")
        wait_in(machine, "[ -s /tmp/ended ]")  # to the guest that card was pulled out
        if machine.run("cat /tmp/ended") == "0":
            raise Failure("the player has played to its end, as if the card had stayed")
        wait_for_new_devices(machine, before)
        check_heard_by_card(machine, tone)
        end_without_trouble(machine)
