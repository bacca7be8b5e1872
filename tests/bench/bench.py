#!/usr/bin/env python3
"""bench.py BUILD_TREE [--runs N] [--json FILE] [FIGURE...]: Chronovisor beside QEMU, same guest, same KVM, same run.

Runs alternate between the two, so that a busy moment of the host meets both; medians are compared. A ratio below one is in
our favour for times and sizes, above one for throughputs. A figure that cannot be measured says why.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing
import uuid

MIB = 1 << 20
GUEST_MIB = 256
START_LIMIT = 120


class Skip(Exception):
    """Why a figure cannot be measured."""


class Subject:
    """A running machine whose serial line comes out of the process."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment)
        self._text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.communicate()

    def read(self) -> bytes:
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            raise Skip(f"{self.process.args[0]} ended: {self.process.stderr.read().decode(errors='replace').strip()[:300]}")
        self._text += data
        return data

    def wait_for(self, text: bytes) -> float:
        """When `text` had been printed; later calls look behind it."""
        while text not in self._text:
            if time.monotonic() - self.began > START_LIMIT:
                raise Skip(f"no {text.decode()!r} within {START_LIMIT} s")
            self.read()
        now = time.monotonic()
        self._text = self._text.split(text, 1)[1]
        return now


class Bench:
    def __init__(self, tree: pathlib.Path, runs: int) -> None:
        self.tree, self.runs = tree, runs
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
        self.environment = dict(os.environ)
        for variable in ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            (self.directory / variable).mkdir(mode=0o700)
            self.environment[variable] = str(self.directory / variable)

    def need_kvm(self) -> None:
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            raise Skip("/dev/kvm cannot be used here")

    def guest(self, *names: str) -> str:
        file = self.tree.joinpath(*names)
        if not file.exists():
            raise Skip(f"{file.name} is not built")
        return str(file)

    def ours(self, kernel: str, words: str, displays: int) -> Subject:
        program = self.tree / "bin" / "chronoctl"
        if not program.exists():
            raise Skip("chronoctl is not built")
        state = {"uuid": str(uuid.uuid4()), "name": f"bench-{uuid.uuid4().hex[:8]}", "cpus": 1, "memoryMiB": GUEST_MIB,
                 "firmware": "none", "kernel": {"kernel": kernel, "commandLine": words}, "serials": [{"id": "serial0"}],
                 "displays": [{"id": f"display{n}"} for n in range(displays)]}
        file = self.directory / f"{state['name']}.json"
        file.write_text(json.dumps({"kind": "machine", "version": 1, "state": state}), encoding="utf-8")
        return Subject([str(program), "run", str(file)], self.environment)

    def qemu(self, kernel: str, words: str, displays: int) -> Subject:
        program = shutil.which("qemu-system-x86_64")
        if not program:
            raise Skip("qemu-system-x86_64 is not installed")
        return Subject([program, "-nodefaults", "-no-user-config", "-machine", "q35", "-accel", "kvm", "-cpu", "host",
                        "-m", str(GUEST_MIB), "-display", "none", "-serial", "stdio", "-vga",
                        "std" if displays else "none", "-kernel", kernel, "-append", words], self.environment)

    def alternate(self, measure: typing.Callable[[Subject], float], *guest) -> tuple[float, float]:
        """Medians of ours and of QEMU's."""
        self.need_kvm()
        results: tuple[list[float], list[float]] = ([], [])
        for turn in range(self.runs + 1):
            for start, into in zip((self.ours, self.qemu), results):
                with start(*guest) as subject:
                    value = measure(subject)
                if turn > 0:  # the first turn warms the caches
                    into.append(value)
        return statistics.median(results[0]), statistics.median(results[1])


def first_serial_byte(bench: Bench) -> tuple[float, float]:
    def measure(subject: Subject) -> float:
        subject.read()
        return (time.monotonic() - subject.began) * 1000

    return bench.alternate(measure, bench.guest("share", "chronovisor", "demo.elf"), "", 1)


def memory_beyond_guest(pid: int) -> float:
    """Resident MiB of a process without its guest's RAM: the mappings as large as that are it."""
    total = 0
    size = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        if line.startswith("Size:"):
            size = int(line.split()[1])
        elif line.startswith("Rss:") and size < GUEST_MIB * 1024 * 3 // 4:
            total += int(line.split()[1])
    return total / 1024


def resident_memory(bench: Bench) -> tuple[float, float]:
    def measure(subject: Subject) -> float:
        subject.read()
        time.sleep(1)
        return memory_beyond_guest(subject.process.pid)

    return bench.alternate(measure, bench.guest("share", "chronovisor", "demo.elf"), "", 0)


def exits(kind: bytes) -> typing.Callable[[Bench], tuple[float, float]]:
    count = 20000

    def measure(subject: Subject) -> float:
        began = subject.wait_for(kind + b" BEGIN")
        return (subject.wait_for(kind + b" END") - began) / count * 1e6

    return lambda bench: bench.alternate(measure, bench.guest("guests", "bench", "exits.elf"), f"count={count}", 1)


def not_yet(reason: str) -> typing.Callable[[Bench], tuple[float, float]]:
    def measure(_: Bench) -> tuple[float, float]:
        raise Skip(reason)

    return measure


@dataclasses.dataclass
class Figure:
    name: str
    what: str
    unit: str
    floor: float  # of the ratio to QEMU
    aim: str
    measure: typing.Callable[[Bench], tuple[float, float]]
    larger_is_better: bool = False


FIGURES = [
    Figure("start", "process start to first serial byte", "ms", 0.5, "0.1x", first_serial_byte),
    Figure("memory", "resident memory beyond guest RAM", "MiB", 0.5, "10 MiB", resident_memory),
    Figure("port-exit", "a port write handled in user space", "us", 1.0, "0.7x", exits(b"PORT")),
    Figure("mmio-exit", "a memory read handled in user space", "us", 1.0, "0.7x", exits(b"MMIO")),
    Figure("disk", "virtio-blk random and sequential reads", "MB/s", 1.0, "1.3x",
           not_yet("measured in the lab, where a Linux guest runs: no lab benchmark exists yet"), True),
    Figure("network", "TCP from guest to host", "MB/s", 1.0, "1.3x",
           not_yet("measured in the lab, where a Linux guest runs: no lab benchmark exists yet"), True),
    Figure("suspend", "suspend and restore, 1 GiB with 256 MiB touched", "ms", 0.5, "disk speed; 50 ms to go on",
           not_yet("measured in the lab, where a Linux guest runs: no lab benchmark exists yet")),
    Figure("stall", "longest stall of the desktop's thread", "ms", 1.0, "16 ms",
           not_yet("the desktop does not report its stalls yet")),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("figures", nargs="*", choices=[[], *(figure.name for figure in FIGURES)])
    arguments = parser.parse_args()
    bench = Bench(arguments.tree.resolve(), arguments.runs)
    results = []
    try:
        for figure in FIGURES:
            if arguments.figures and figure.name not in arguments.figures:
                continue
            result: dict = {"figure": figure.name, "unit": figure.unit, "floor": figure.floor}
            try:
                ours, peer = figure.measure(bench)
                ratio = ours / peer
                met = ratio >= figure.floor if figure.larger_is_better else ratio <= figure.floor
                result |= {"ours": ours, "qemu": peer, "ratio": ratio, "met": met}
                print(f"{figure.what:48} {ours:9.2f} {figure.unit:5} QEMU {peer:9.2f}  ratio {ratio:5.2f}  "
                      f"floor {figure.floor} {'met' if met else 'MISSED'}, aim {figure.aim}", flush=True)
            except Skip as reason:
                result["skipped"] = str(reason)
                print(f"{figure.what:48} skipped: {reason}", flush=True)
            results.append(result)
    finally:
        shutil.rmtree(bench.directory, ignore_errors=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0 if all(result.get("met", True) for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
