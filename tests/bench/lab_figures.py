"""The figures that need a real system in the guest: taken in the lab (tests/lab), where KVM is whole on every machine. The
lab's processor is software, so only the ratios mean something."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

from figures import Goal, Row, Skip

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE.parent / "lab"
LIMIT = int(1200 * float(os.environ.get("LAB_PATIENCE", "1")))
# More than is moved at a time, and no other stick's size: Linux reads and writes the last eight sectors of a stick one by
# one, and whoever comes around to them more often would pay for it.
STICK_MIB = 320
FLOOR, AIM = Goal(1.0), Goal(1.3)


class LabBench:
    def __init__(self, tree: pathlib.Path, directory: pathlib.Path, runs: int) -> None:
        self.tree, self.directory, self.runs = tree, directory, min(runs, 5)

    def guest(self, kind: str, programs: tuple[pathlib.Path, ...] | list[pathlib.Path] = ()) -> pathlib.Path:
        """A Linux guest of the lab's, with the load and these programs in a second archive behind the first one of its initramfs."""
        sys.path.insert(0, str(LAB))
        import cache
        import guests
        try:
            linux = guests.GUESTS[kind]()
        except (cache.LabError, subprocess.CalledProcessError, OSError) as problem:
            raise Skip(f"the lab's guest cannot be prepared: {problem}") from None
        tree = self.directory / "tree"
        (tree / "bin").mkdir(parents=True)
        shutil.copy(self.load(), tree / "bin" / "load")
        for program in programs:
            shutil.copy(program, tree / "bin")
        cache.pack_initramfs(tree, self.directory / "load.gz")
        (self.directory / "initrd.gz").write_bytes((linux / "initrd.gz").read_bytes()
                                                   + (self.directory / "load.gz").read_bytes())
        shutil.copy(linux / "vmlinuz", self.directory)
        return self.directory

    def load(self) -> pathlib.Path:
        file = self.tree / "guests" / "bench" / "load"
        if not file.exists():
            raise Skip(f"{file.name} is not built")
        return file

    def program(self, name: str) -> pathlib.Path:
        """One of the lab's, which needs no libraries."""
        file = self.directory / name
        try:
            subprocess.run(["gcc", "-static", "-O1", "-o", str(file), str(LAB / f"{name}.c")], check=True)
        except (OSError, subprocess.CalledProcessError) as problem:
            raise Skip(f"{name} cannot be built: {problem}") from None
        return file

    def usb_devices(self) -> list[str]:
        """A stick and a tablet of L1's for each of the two, which can only be in one machine at a time."""
        words = ["-device qemu-xhci,id=usb,p2=8,p3=8"]
        content = os.urandom(16 << 20)
        for name in ("ours", "QEMU"):
            file = self.directory / f"stick-{name}"
            file.write_bytes(content * (STICK_MIB // 16))
            words.append(f"-drive if=none,id={name},format=raw,file={file} "
                         f"-device usb-storage,bus=usb.0,drive={name},serial=stick-{name} "
                         f"-device usb-wacom-tablet,bus=usb.0,serial=tablet-{name}")
        return ["-q", " ".join(words)]

    def measure(self, what: str, guest: str = "linux", options: tuple[str, ...] | list[str] = (), limit: int = LIMIT,
                programs: tuple[pathlib.Path, ...] | list[pathlib.Path] = (), **variables: str) -> dict:
        """What inside.py has measured in L1, which is started with these options of the lab's, programs in its guests and
        variables, and has so many seconds for it."""
        results = self.directory / "results"
        environment = dict(os.environ, CHRONOVISOR_CTL=str(self.tree / "bin" / "chronoctl"),
                           LAB_GUEST_LINUX=str(self.guest(guest, programs)), LAB_LOAD=str(self.load()), **variables)
        if (shim := self.tree / "lib" / "lab_shim.so").exists():
            environment["CHRONOVISOR_LAB_SHIM"] = str(shim)
        done = subprocess.run([str(LAB / "lab"), "-t", str(limit), "-w", str(results), *options, "--", "python3",
                               str(HERE / "inside.py"), what, str(self.runs), str(results / "medians.json")],
                              env=environment, stdout=sys.stderr, check=False)
        if done.returncode != 0:
            raise Skip("the lab failed; its reason is above")
        return json.loads((results / "medians.json").read_text(encoding="utf-8"))


def disk(bench: LabBench) -> list[Row]:
    medians = bench.measure("disk")
    rows = []
    for name, values in medians.items():
        goals = (FLOOR, AIM) if " read" in name else (None, None)
        rows.append(Row(f"virtio-blk {name}", "MB/s", values["ours"], values["QEMU"], *goals, larger_is_better=True))
        if "tuned" in values:
            rows.append(Row("  beside QEMU with io_uring and an I/O thread", "MB/s", values["ours"], values["tuned"],
                            larger_is_better=True, peer_name="tuned"))
    return rows


def network(bench: LabBench) -> list[Row]:
    return [Row("TCP " + name, "MB/s", values["ours"], values["QEMU"],
                *((FLOOR, AIM) if name == "guest to host" else (None, None)), larger_is_better=True)
            for name, values in bench.measure("network").items()]


def usb(bench: LabBench) -> list[Row]:
    measured = bench.measure("usb", "hardware", bench.usb_devices())
    rows = []
    for what, values in measured["speeds"].items():
        rows.append(Row(what, "MB/s", values["ours"], values["QEMU"], FLOOR, Goal(1.5), larger_is_better=True))
        cost = measured["costs"][what]
        rows.append(Row("  processor time of it", "ms/MB", cost["ours"], cost["QEMU"], Goal(1.0)))
    for what, values in measured["round trips"].items():
        rows.append(Row(f"{what}, a control transfer", "us", values["ours"], values["QEMU"]))
    values = measured["interrupts"]
    rows.append(Row("passed-through tablet, from a report to the next IN", "us", values["ours"], values["QEMU"], Goal(1.0)))
    return rows


def stream(bench: LabBench) -> list[Row]:
    """In an L1 that is never late: what is missing then was lost by the machine."""
    measured = bench.measure("stream", "hardware", ["--steady"], 2 * LIMIT, [bench.program("stream")],
                             LAB_MICROPHONE=str(bench.program("microphone")))
    sent, missing = measured["packets"], measured["missing"]
    return [Row(f"{sent} packets, 8000 a second: missing", "", missing["ours"], missing["QEMU"], Goal(0, of_value=True))]
