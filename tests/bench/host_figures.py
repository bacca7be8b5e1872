"""The figures that need no Linux in the guest: taken on this machine's KVM with guests for the bare machine."""

import os
import pathlib
import statistics
import subprocess
import time

from figures import Goal, Row, Skip, take_turns
from subjects import Chronovisor, Qemu

EXITS = 50000
SERIES = 20
GUEST_MIB = 256
BIG_GUEST_MIB, TOUCHED_MIB = 1024, 256


class HostBench:
    def __init__(self, tree: pathlib.Path, directory: pathlib.Path, runs: int) -> None:
        self.tree, self.directory, self.runs = tree, directory, runs
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            raise Skip("/dev/kvm cannot be used here")

    def guest(self, name: str, words: str = "", memory: int = GUEST_MIB, **more) -> dict:
        file = self.tree / "guests" / "bench" / f"{name}.elf"
        if not file.exists():
            raise Skip(f"{file.name} is not built")
        return {"kernel": str(file), "words": words, "memory": memory, **more}

    def chronovisor(self) -> Chronovisor:
        return Chronovisor(self.directory / "ours", self.tree / "bin" / "chronoctl")

    def qemu(self, name: str = "qemu", **how) -> Qemu:
        return Qemu(self.directory / name, **how)


def start(bench: HostBench) -> list[Row]:
    guest = bench.guest("exits")

    def first_byte(product):
        def measure() -> float:
            with product.start(guest) as subject:
                return subject.since_start(subject.wait_for(b"START"))

        return measure

    times = take_turns(bench.runs, {
        "ours": first_byte(bench.chronovisor()), "q35": first_byte(bench.qemu()),
        "microvm": first_byte(bench.qemu("microvm", board="microvm,isa-serial=on,pic=on,pit=on"))})
    return [Row("process start to first serial byte", "ms", times["ours"], times["q35"], Goal(0.5), Goal(0.1)),
            Row("  beside QEMU's microvm", "ms", times["ours"], times["microvm"], peer_name="microvm")]


def beyond_guest_memory(pid: int, field: str) -> float:
    """MiB of a process without its guest's RAM: the mappings nearly as large as that are it."""
    total = size = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == "Size":
            size = int(value.split()[0])
        elif name == field and size < GUEST_MIB * 1024 * 3 // 4:
            total += int(value.split()[0])
    return total / 1024


def memory(bench: HostBench) -> list[Row]:
    guest = bench.guest("exits")
    sizes: dict[str, float] = {}

    def measured(product, name: str):
        def measure() -> float:
            with product.start(guest) as subject:
                subject.wait_for(b"DONE")
                time.sleep(0.5)
                sizes[name] = beyond_guest_memory(subject.process.pid, "Private_Dirty")
                return beyond_guest_memory(subject.process.pid, "Rss")

        return measure

    rss = take_turns(3, {"ours": measured(bench.chronovisor(), "ours"), "qemu": measured(bench.qemu(), "qemu")})
    return [Row("resident memory beyond guest RAM", "MiB", rss["ours"], rss["qemu"], Goal(0.5), Goal(10, True)),
            Row("  of it written, shared with nobody", "MiB", sizes["ours"], sizes["qemu"])]


def exits(bench: HostBench) -> list[Row]:
    guest = bench.guest("exits", f"count={EXITS // SERIES} series={SERIES}", display=True)
    costs: dict[str, list[float]] = {}

    def measured(product, name: str):
        def measure() -> float:
            with product.start(guest) as subject:
                for kind in ("PORT", "MMIO") * SERIES:
                    began = subject.wait_for(f"{kind} BEGIN".encode())
                    ended = subject.wait_for(f"{kind} END".encode())
                    costs.setdefault(kind + name, []).append((ended - began) / (EXITS // SERIES) * 1e6)
            return 0.0

        return measure

    # They differ by less than the host's moods: twice as many turns, and the median of many short series.
    take_turns(2 * bench.runs, {"ours": measured(bench.chronovisor(), "ours"), "qemu": measured(bench.qemu(), "qemu")})
    median = {name: statistics.median(values[SERIES:]) for name, values in costs.items()}
    return [Row(what, "us", median[kind + "ours"], median[kind + "qemu"], Goal(1.0), Goal(0.7))
            for kind, what in (("PORT", "a port write (UART)"), ("MMIO", "a memory-mapped read (display)"))]


def write_speed(directory: pathlib.Path) -> float:
    """Milliseconds in which the disk takes what the guest has touched, durably, from one writer."""
    content = os.urandom(1 << 20)
    file = directory / "written"
    began = time.monotonic()
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for _ in range(TOUCHED_MIB):
        os.write(fd, content)
    os.fdatasync(fd)
    os.close(fd)
    taken = (time.monotonic() - began) * 1000
    file.unlink()
    return taken


def suspend(bench: HostBench) -> list[Row]:
    times: dict[tuple[str, str], list[float]] = {}

    def cycle(product, name: str):
        disk = product.directory / "disk.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "64M"], check=True)
        guest = bench.guest("touch", f"mebibytes={TOUCHED_MIB}", memory=BIG_GUEST_MIB, disk=str(disk))

        def measure() -> float:
            with product.start(guest) as subject:
                subject.wait_for(b"TOUCHED")
                before = subject.next_number()
                times.setdefault((name, "suspend"), []).append(product.suspend(subject))
            with product.restore(guest) as subject:
                subject.read()
                times.setdefault((name, "restore"), []).append(subject.since_start(time.monotonic()))
                if subject.next_number() <= before:
                    raise Skip(f"{name}: the guest began anew instead of going on")
            return 0.0

        return measure

    disk_times: list[float] = []
    take_turns(min(bench.runs, 5), {
        "ours": cycle(bench.chronovisor(), "ours"), "savevm": cycle(bench.qemu("savevm"), "savevm"),
        "migrate": cycle(bench.qemu("migrate", way="migrate"), "migrate"),
        "disk": lambda: disk_times.append(write_speed(bench.directory)) or 0.0})
    median = {key: statistics.median(values[1:]) for key, values in times.items()}
    disk_time = statistics.median(disk_times)
    # The floor is of both together: what a suspend writes nobody writes faster than the disk.
    both = {name: median[name, "suspend"] + median[name, "restore"] for name in ("ours", "savevm")}
    rows = [Row("suspend and restore 1 GiB, 256 MiB touched", "ms", both["ours"], both["savevm"], Goal(0.5),
                peer_name="savevm, loadvm")]
    for verb, peer, aim in (("suspend", "savevm", Goal(disk_time * 1.25, True)), ("restore", "loadvm", Goal(50, True))):
        ours = median["ours", verb]
        rows.append(Row(f"  {verb}", "ms", ours, median["savevm", verb], aim=aim, peer_name=peer))
        rows.append(Row("    beside migration to a file", "ms", ours, median["migrate", verb]))
        if verb == "suspend":
            rows.append(Row("    beside writing as much to the disk", "ms", ours, disk_time, peer_name="disk"))
    return rows
