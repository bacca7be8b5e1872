#!/usr/bin/env python3
"""inside.py disk|network RUNS FILE: what lab_figures.py has measured in L1. All machines are up at once and idle but for
the one whose turn it is; FILE gets the medians, in MB/s."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))
import machines
from figures import take_turns, write_json

SECONDS = 3  # of the guest's time for each measurement
DISK_MIB = 256
PORT = 5001
STORE = pathlib.Path("/run/bench")
FORMATS = ["raw", "qcow2"]  # vda, vdb
PATTERNS = {"4k random read": "read random 4096 32", "128k sequential read": "read sequential 131072 32",
            "4k random write": "write random 4096 32", "128k sequential write": "write sequential 131072 32"}


class TunedQemu(machines.QemuMachine):
    """QEMU with what its users switch on for speed."""

    name = "QEMU, tuned"

    def disk(self, number: int, form: str, path: str, interface: str) -> list[str]:
        return ["-object", f"iothread,id=thread{number}",
                "-drive", f"if=none,id=drive{number},format={form},file={path},aio=io_uring",
                "-device", f"virtio-blk-pci,drive=drive{number},iothread=thread{number}"]


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


def end(running: dict[str, machines.Machine]) -> None:
    for machine in running.values():
        machine.close()


if __name__ == "__main__":
    write_json(pathlib.Path(sys.argv[3]), {"disk": disk, "network": network}[sys.argv[1]](int(sys.argv[2])))
