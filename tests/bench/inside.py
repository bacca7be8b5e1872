#!/usr/bin/env python3
"""inside.py disk|network|usb|stream RUNS FILE: what lab_figures.py has measured in L1. All machines are up at once and idle but for
the one whose turn it is; FILE gets the medians, speeds in MB/s; of stream what was missing."""

import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))
import l1_usb
import machines
from figures import take_turns, write_json

SECONDS = 3  # of the guest's time for each measurement
DISK_MIB = 256
PORT = 5001
STREAM_SECONDS = 60
STREAM_PACKETS = 8000  # a second
FIND_MICROPHONE = "grep -lx 1209 /sys/bus/usb/devices/*/idVendor"
STREAM_REQUESTS = 8  # under way at any time, each of 8 ms
INTERRUPTS = 250  # at a time; five times are more than a thousand
STORE = pathlib.Path("/run/bench")
USB_MONITOR = pathlib.Path("/sys/kernel/debug/usb/usbmon")
FORMATS = ["raw", "qcow2"]  # vda, vdb
PATTERNS = {"4k random read": "read random 4096 32", "128k sequential read": "read sequential 131072 32",
            "4k random write": "write random 4096 32", "128k sequential write": "write sequential 131072 32"}


class TunedQemu(machines.QemuMachine):
    """QEMU with what its users switch on for speed."""

    name = "QEMU, tuned"

    def disk(self, number: int, form: str, path: str, bus: str) -> list[str]:
        return ["-object", f"iothread,id=thread{number}",
                "-drive", f"if=none,id=drive{number},format={form},file={path},aio=io_uring",
                "-device", f"virtio-blk-pci,drive=drive{number},iothread=thread{number}"]


class UsbQemu(machines.QemuMachine):
    """QEMU with an xHCI controller, a keyboard, sticks of its own, and a stick and a tablet of the host's."""

    def disk(self, number: int, form: str, path: str, bus: str) -> list[str]:
        drive = ["-drive", f"if=none,id=drive{number},format={form},file={path}"]
        if bus == "uas":
            return drive + ["-device", f"usb-uas,id=uas{number},bus=usb.0", "-device",
                            f"scsi-hd,bus=uas{number}.0,drive=drive{number}"]
        passed = []
        for where, port in (place.split("-") for place in ports_for("QEMU")):
            passed += ["-device", f"usb-host,bus=usb.0,hostbus={where},hostport={port}"]
        return drive + ["-device", "qemu-xhci,id=usb,p2=8,p3=8", "-device", "usb-kbd,bus=usb.0", "-device",
                        f"usb-storage,bus=usb.0,drive=drive{number}", *passed]


class StreamQemu(machines.QemuMachine):
    """QEMU with a microphone of the host's."""

    def more_options(self) -> list[str]:
        where, port = microphones()[1].split("-")
        return ["-device", "qemu-xhci,id=usb", "-device", f"usb-host,bus=usb.0,hostbus={where},hostport={port}"]


def microphones() -> list[str]:
    """The ports of what microphone.c plays, ours first."""
    return sorted(file.parent.name for file in pathlib.Path("/sys/bus/usb/devices").glob("*/idVendor")
                  if file.read_text(encoding="ascii").strip() == "1209")


def port_of(serial: str) -> str:
    """Of a device of L1's (lab_figures.py)."""
    for file in pathlib.Path("/sys/bus/usb/devices").glob("*/serial"):
        if file.read_text(encoding="ascii").strip() == serial:
            return file.parent.name
    raise SystemExit(f"L1 has no USB device {serial}")


def ports_for(name: str) -> list[str]:
    """Of what is for Chronovisor or for QEMU."""
    return [port_of(f"{kind}-{name}") for kind in ("stick", "tablet")]


def make_store() -> None:
    """A file system as people have it, on a disk of memory, so that the product is measured and not L1's disk."""
    subprocess.run(["modprobe", "brd", "rd_nr=1", f"rd_size={(len(FORMATS) * DISK_MIB * 3 + DISK_MIB + 256) * 1024}"], check=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "/dev/ram0"], check=True)
    STORE.mkdir()
    subprocess.run(["mount", "-t", "ext4", "/dev/ram0", str(STORE)], check=True)


def make_disks(name: str) -> list[dict]:
    """A raw and a qcow2 disk, full of numbers."""
    content = STORE / "content"
    if not content.exists():
        content.write_bytes(os.urandom(16 << 20) * (DISK_MIB // 16))
    files = [STORE / f"{name}.{form}" for form in FORMATS]
    for form, file in zip(FORMATS, files):
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, str(content), str(file)], check=True)
    return [{"path": str(file)} for file in files]


def boot(kinds: dict[str, type[machines.Machine]], words: str, **configuration) -> dict[str, machines.Machine]:
    guest = pathlib.Path(os.environ["LAB_GUEST_LINUX"])
    running = {}
    for name, kind in kinds.items():
        own = {key: make() if callable(make) else make for key, make in configuration.items()}
        machine = kind(kernel={"kernel": str(guest / "vmlinuz"), "initrd": str(guest / "initrd.gz"),
                               "commandLine": f"console=ttyS0 quiet panic=-1 {words}"}, **own)
        machine.start()
        machine.console.expect("GUEST-READY", 180)
        running[name] = machine
    return running


def speed(machine: machines.Machine, command: str, unit: int) -> float:
    amount, nanoseconds = map(int, machine.run(command, 120).split())
    result = amount * unit / nanoseconds * 1000
    print(f"    {machine.name}: {command}: {result:.2f} MB/s", flush=True)
    return result


def disk(runs: int) -> dict:
    make_store()
    counter = iter(range(10))
    running = boot({"ours": machines.ChronovisorMachine, "QEMU": machines.QemuMachine, "tuned": TunedQemu}, "",
                   disks=lambda: make_disks(f"disk{next(counter)}"))
    medians = {}
    for form, device in zip(FORMATS, ("vda", "vdb")):
        for pattern, words in PATTERNS.items():
            unit = int(words.split()[2])
            medians[f"{pattern}, {form}"] = take_turns(runs, {
                name: lambda machine=machine: speed(machine, f"load disk /dev/{device} {words} {SECONDS}", unit)
                for name, machine in running.items()})
    end(running)
    return medians


def network(runs: int) -> dict:
    sink = subprocess.Popen([os.environ["LAB_LOAD"], "sink", str(PORT)], stdout=subprocess.DEVNULL)
    running = boot({"ours": machines.ChronovisorMachine, "QEMU": machines.QemuMachine}, "lab.net", networks=[{}])
    medians = {"guest to host": take_turns(runs, {
        name: lambda machine=machine: speed(machine, f"load send 10.0.2.2 {PORT} {SECONDS}", 1)
        for name, machine in running.items()})}
    end(running)
    sink.kill()
    return medians


class UsbLoad:
    """The sticks of one guest, by what they are, and what moving data to and from them costs."""

    def __init__(self, machine: machines.Machine) -> None:
        self.machine = machine
        machine.run("n=0; until [ -b /dev/sdc ] || [ $n -ge 300 ]; do n=$((n + 1)); sleep 0.1; done; [ -b /dev/sdc ]", 60)
        told = machine.run("for disk in /sys/block/sd?; do echo $(basename $disk) $(cat $disk/size) "
                           "$(basename $(readlink -f $disk/device/../../../driver)); done")
        lines = [line.split() for line in told.splitlines()]
        own = str(DISK_MIB * 2048)  # sectors; the host's stick is smaller
        self.names = {"emulated stick": next(name for name, size, driver in lines if (size, driver) == (own, "usb-storage")),
                      "emulated UAS stick": next(name for name, _, driver in lines if driver == "uas"),
                      "passed-through stick": next(name for name, size, _ in lines if size != own)}
        self.costs: dict[str, list[float]] = {}

    def cpu_seconds(self) -> float:
        """Of the whole process, its guest too."""
        fields = pathlib.Path(f"/proc/{self.machine.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def speed(self, stick: str, action: str) -> float:
        before, block = self.cpu_seconds(), 131072
        amount, nanoseconds = map(int, self.machine.run(
            f"load disk /dev/{self.names[stick]} {action} sequential {block} 8 {SECONDS}", 120).split())
        self.costs.setdefault(f"{stick}, {action}", []).append(
            (self.cpu_seconds() - before) * 1000 / (amount * block / 1e6))
        result = amount * block / nanoseconds * 1000
        print(f"    {self.machine.name}: {stick}, {action}: {result:.2f} MB/s", flush=True)
        return result

    def round_trip(self, stick: str) -> float:
        """Microseconds of one control transfer, of a thousand."""
        count, nanoseconds = map(int, self.machine.run(
            f"device=/sys/block/{self.names[stick]}/device/../../../..; load usb $(printf /dev/bus/usb/%03d/%03d "
            "$(cat $device/busnum) $(cat $device/devnum)) 1000", 120).split())
        return nanoseconds / count / 1000

    def turnaround(self, name: str) -> float:
        """Microseconds from a report of the host's tablet to the next IN for it, as the host's kernel sees them: the way up
        to a program in the guest, and the guest's next question's way down. Both are what a machine adds to a transfer; how
        long the tablet takes is in neither. The median."""
        tablet = pathlib.Path("/sys/bus/usb/devices") / port_of(f"tablet-{name}")
        bus, address = (int((tablet / file).read_text(encoding="ascii")) for file in ("busnum", "devnum"))
        with tempfile.TemporaryFile("w+") as seen, subprocess.Popen(["cat", USB_MONITOR / f"{bus}u"], stdout=seen) as monitor:
            self.machine.run("device=$(dirname $(grep -lx 056a /sys/bus/usb/devices/*/idVendor)); load interrupts "
                             f"$(printf /dev/bus/usb/%03d/%03d $(cat $device/busnum) $(cat $device/devnum)) {INTERRUPTS}", 120)
            monitor.kill()
            monitor.wait()
            seen.seek(0)
            return statistics.median(turnarounds(seen, f"Ii:{bus}:{address:03}:1"))


def turnarounds(lines: typing.Iterable[str], endpoint: str) -> list[int]:
    """Between each answer and the next question. A line of usbmon's (Documentation/usb/usbmon.rst, "Raw text data format")
    begins with a number of the request, microseconds, S(ubmitted) or C(ompleted), and the endpoint."""
    found, ended = [], None
    for line in lines:
        words = line.split()
        if len(words) < 4 or not words[3].startswith(endpoint):
            continue
        if words[2] == "S" and ended is not None:
            found.append((int(words[1]) - ended) % (1 << 32))
        ended = int(words[1]) if words[2] == "C" else None
    return found


def usb(runs: int) -> dict:
    make_store()
    content = STORE / "content"
    content.write_bytes(os.urandom(16 << 20) * (DISK_MIB // 16))

    def sticks() -> list[dict]:
        files = [STORE / f"{next(counter)}.raw" for _ in range(2)]
        for file in files:
            subprocess.run(["cp", str(content), str(file)], check=True)
        return [{"path": str(file), "bus": bus} for file, bus in zip(files, ("usb", "uas"))]

    counter = iter(range(10))
    running = boot({"ours": machines.ChronovisorMachine, "QEMU": UsbQemu}, "", disks=sticks,
                   usbControllers=lambda: [{}], usbDevices=lambda: [{"kind": "keyboard"}])
    for port in ports_for("ours"):
        running["ours"].call("machine.attachUsb", device=port, really=True)  # L1 takes the tablet for its own pointer
    loads = {name: UsbLoad(machine) for name, machine in running.items()}
    subprocess.run(["modprobe", "usbmon"], check=True)
    if not USB_MONITOR.exists():
        subprocess.run(["mount", "-t", "debugfs", "none", "/sys/kernel/debug"], check=True)
    result = {"speeds": {}, "costs": {}, "round trips": {}}
    for stick in loads["ours"].names:
        for action in ("read", "write"):
            what = f"{stick}, {action}"
            result["speeds"][what] = take_turns(runs, {
                name: lambda load=load: load.speed(stick, action) for name, load in loads.items()})
            # The first is not counted, as with the speeds.
            result["costs"][what] = {name: statistics.median(load.costs[what][1:]) for name, load in loads.items()}
    for stick in ("emulated stick", "passed-through stick"):
        result["round trips"][stick] = take_turns(runs, {
            name: lambda load=load: load.round_trip(stick) for name, load in loads.items()})
    result["interrupts"] = take_turns(runs, {
        name: lambda name=name, load=load: load.turnaround(name) for name, load in loads.items()})
    end(running)
    return result


def missing(machine: machines.Machine, seconds: int) -> int:
    """Of the packets that the microphone has sent in so long."""
    wanted = seconds * STREAM_PACKETS
    came, left_out, errors = map(int, machine.run(
        f"device=$(dirname $({FIND_MICROPHONE})); "
        f"stream $(printf /dev/bus/usb/%03d/%03d $(cat $device/busnum) $(cat $device/devnum)) {seconds} {STREAM_REQUESTS}",
        seconds * 10 + 60).split())
    print(f"    {machine.name}: of {wanted} packets {came} came whole, {errors} with an error, and {left_out} were left out", flush=True)
    return max(left_out, wanted - came)


def stream(_: int) -> dict:
    """Once: a minute is long enough for what happens now and then."""
    with contextlib.ExitStack() as plugged:
        for number in (0, 1):
            plugged.enter_context(l1_usb.played(pathlib.Path(os.environ["LAB_MICROPHONE"]), str(number)))
            machines.wait_until("L1 has the microphone", lambda number=number: len(microphones()) > number)
        running = boot({"ours": machines.ChronovisorMachine, "QEMU": StreamQemu}, "", cpus=2, tablet=False,
                       usbControllers=lambda: [{}])
        running["ours"].call("machine.attachUsb", device=microphones()[0])
        result = {"packets": STREAM_SECONDS * STREAM_PACKETS, "missing": {}}
        for name, machine in running.items():
            # What its kernel has to say of the stream belongs into no number.
            machine.run(f"dmesg -n 1; n=0; until {FIND_MICROPHONE} || [ $n -ge 300 ]; do n=$((n + 1)); sleep 0.1; done; {FIND_MICROPHONE}", 60)
            missing(machine, 1)  # L1 reads from its disk what runs for it, and that is late
            result["missing"][name] = missing(machine, STREAM_SECONDS)
        end(running)
    return result


def end(running: dict[str, machines.Machine]) -> None:
    for machine in running.values():
        machine.close()


if __name__ == "__main__":
    write_json(pathlib.Path(sys.argv[3]), {"disk": disk, "network": network, "usb": usb, "stream": stream}[sys.argv[1]](int(sys.argv[2])))
