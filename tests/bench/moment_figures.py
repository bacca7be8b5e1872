"""The figures of moments: what one costs a guest that writes to its memory all the time, and how soon it is back."""

import dataclasses
import pathlib
import shutil
import statistics
import subprocess
import time

from figures import Goal, Row, Skip, take_turns, tell, turns
from host_figures import HostBench
from subjects import Qemu, Subject

MEMORY_MIB, FILLED_MIB, AREA_MIB = 4096, 3500, 512
RATE = 200  # MB/s
AFTER, EVERY = 2.0, 10.0  # seconds
MORE_RATES = (0, 100, 1000)
WORD_EVERY = 500  # microseconds between two words of the guest that touches nothing
WORKING_SET_MIB = 64
SETTLED = 5.0  # seconds, in which another machine's memory would have come whole
LIMIT = 1200


@dataclasses.dataclass
class Sample:
    at: float
    units: float
    waited: float  # of the vCPU, for a processor of the host, so far


@dataclasses.dataclass
class Moment:
    began: float
    ended: float
    pause: float
    changed: float


class Trace:
    """What bench_moments has printed."""

    def __init__(self, text: str) -> None:
        self.samples: list[Sample] = []
        self.moments: list[Moment] = []
        self.stored: list[tuple[int, int]] = []
        for line in text.splitlines():
            word, *numbers = line.split()
            if word == "sample":
                self.samples.append(Sample(*map(float, numbers)))
            elif word == "moment":
                self.moments.append(Moment(*map(float, numbers)))
            elif word == "stored":
                self.stored.append((int(numbers[0]), int(numbers[1])))

    def speed(self, since: float, until: float, own: bool = False) -> float:
        """Units a second; `own`: of the time that the host gave to the vCPU."""
        inside = [sample for sample in self.samples if since <= sample.at <= until]
        if len(inside) < 2:
            return 0.0
        first, last = inside[0], inside[-1]
        time = last.at - first.at - (last.waited - first.waited if own else 0)
        return (last.units - first.units) / time

    def fastest(self, since: float, until: float) -> float:
        """Units in the fastest second, in its own time: the host's other guests share caches and cores with ours, and slow it
        down by a quarter for seconds on end, which no clock of this machine's tells."""
        return max((self.speed(at / 2, at / 2 + 1, own=True) for at in range(int(since * 2) + 1, int(until * 2) - 2)), default=0.0)

    def share(self, seconds: float, every: float, own: bool = False) -> float:
        """The speed in the seconds from each moment on, as a part of the speed in as many seconds long after it."""
        shares = []
        for moment in self.moments[1:]:
            without = self.speed(max(moment.began + every, moment.ended),
                                 max(moment.began + every, moment.ended) + min(seconds * 2, every), own)
            if without:
                shares.append(self.speed(moment.began, moment.began + seconds, own) / without)
        return statistics.median(shares)


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


class MomentBench(HostBench):
    def run(self, name: str, rate: int, moments: int, every: float, area: int = AREA_MIB, memory: int = MEMORY_MIB,
            filled: int = FILLED_MIB) -> Trace:
        program = self.tree / "bin" / "bench_moments"
        if not program.exists():
            raise Skip(f"{program.name} is not built")
        words = f"fill={filled} area={area} rate={rate}" + ("" if rate else f" slice={WORD_EVERY}")
        guest = self.guest("dirty", words)
        tell(f"  moments of a guest with {memory} MiB that writes {rate} MB/s: {moments}")
        done = subprocess.run([program, "run", self.directory / name, guest["kernel"], str(memory), guest["words"],
                               str(moments), str(every)], capture_output=True, text=True, timeout=LIMIT, check=False)
        if done.returncode != 0:
            raise Skip(done.stderr.strip())
        return Trace(done.stdout)

    def restored(self, name: str, cache: str, way: str = "set", units: int = 0) -> float:
        """Milliseconds from opening the timeline to what the guest says first, or when it has done so many units."""
        done = subprocess.run([self.tree / "bin" / "bench_moments", "restore", self.directory / name, cache, way, str(units)],
                              capture_output=True, text=True, timeout=LIMIT, check=False)
        for line in done.stdout.splitlines():
            if line.startswith("restored"):
                return float(line.split()[2]) * 1000
        raise Skip(done.stderr.strip() or "the guest said nothing")


def pauses(trace: Trace) -> tuple[float, float]:
    times = [moment.pause * 1000 for moment in trace.moments]
    return statistics.median(times), percentile(times, 0.99)


def qemu_stands_still(bench: MomentBench) -> float | None:
    """Milliseconds between two lines of the guest while QEMU's savevm writes the same memory; None without a QEMU."""
    if not shutil.which("qemu-system-x86_64"):
        return None
    disk = bench.directory / "qemu.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "64M"], check=True)
    guest = bench.guest("dirty", f"fill={FILLED_MIB} area={AREA_MIB} rate={RATE}", memory=MEMORY_MIB, disk=str(disk))
    qemu = Qemu(bench.directory / "savevm")
    with qemu.start(guest) as subject:
        subject.wait_for(b"READY")
        before = subject.next_number()
        longest = subject.longest_silence(qemu.snapshot)
        if subject.next_number() <= before:
            raise Skip("QEMU's guest began anew")
        return longest * 1000


def moments(bench: MomentBench) -> list[Row]:
    trace = bench.run("main", RATE, max(3, bench.runs), EVERY)
    median, worst = pauses(trace)
    rows = [Row(f"pause of a moment, 4 GiB, {RATE} MB/s", "ms", median, qemu_stands_still(bench), Goal(10, True), Goal(5, True),
                peer_name="savevm"),
            Row("  the 99th of a hundred", "ms", worst, floor=Goal(30, True), aim=Goal(15, True))]
    for rate in MORE_RATES:
        median, worst = pauses(bench.run(f"rate{rate}", rate, max(3, bench.runs), 1.0))
        rows.append(Row(f"  with {rate} MB/s", "ms", median))
        rows.append(Row("    the 99th", "ms", worst))
        if rate:
            shutil.rmtree(bench.directory / f"rate{rate}")
    for what, seconds, floor, aim in ((f"guest's speed in the {AFTER:g} s after a moment", AFTER, 0.7, 0.9),
                                      (f"guest's speed with a moment every {EVERY:g} s", EVERY, 0.95, 0.98)):
        rows.append(Row(what, "", trace.share(seconds, EVERY), floor=Goal(floor, True), aim=Goal(aim, True),
                        larger_is_better=True))
        rows.append(Row("  without its waits for a processor", "", trace.share(seconds, EVERY, own=True)))
    first, later = trace.moments[0], trace.moments[1:]
    without = trace.fastest(first.began - EVERY, first.began)
    between = statistics.median(trace.fastest(m.began + EVERY, m.began + 2 * EVERY) for m in later)
    rows.append(Row("guest's speed between moments, fastest second", "", between / without, floor=Goal(0.98, True),
                    larger_is_better=True))
    rows.append(Row("stored bytes of a moment, against one stream", "", statistics.median(
        whole / alone for whole, alone in trace.stored[1:]), floor=Goal(1.2, True), aim=Goal(1.05, True)))
    rows.append(Row("  time to store it", "s", statistics.median(m.ended - m.began for m in later)))
    # The first word of a guest that touches nothing comes at most WORD_EVERY after its first instruction; one that writes
    # must first have a slice's pages.
    for cache, floor, aim in (("warm", 20, 5), ("cold", 60, 20)):
        rows.append(Row(f"restore to the guest's first instruction, {cache}", "ms", restored(bench, "rate0", cache),
                        floor=Goal(floor, True), aim=Goal(aim, True)))
        rows.append(Row(f"  to the first answer at {RATE} MB/s", "ms", restored(bench, "main", cache)))
    for name in ("main", "rate0"):
        shutil.rmtree(bench.directory / name)
    return rows + flat(bench) + working_set(bench) + fork(bench)


def anonymous(subject: Subject) -> float:
    """MiB that a process has for itself: of a machine that runs almost nothing but its RAM."""
    for line in pathlib.Path(f"/proc/{subject.process.pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1024
    raise Skip("the host does not tell what a process has for itself")


def fork(bench: MomentBench) -> list[Row]:
    """A machine that runs becomes two, by chronoctl. The guest is one that touches nothing but a little code."""
    ours = bench.chronovisor()
    guest = bench.guest("dirty", f"fill={FILLED_MIB} rate=0 slice=10000", memory=MEMORY_MIB)
    forking, first_words, memory = [], [], []
    with ours.start_in_library(guest) as original:
        original.wait_for(b"READY")
        whole = anonymous(original)
        ours.tell("moment", "take", "bench", "here")
        for number in turns(max(3, bench.runs)):
            forking.append(ours.tell("moment", "fork", "bench", "here", "--name", f"fork{number}"))
            with ours.run(f"fork{number}") as other:
                first_words.append(other.since_start(other.wait_for(b"\n")))
                time.sleep(SETTLED)
                other.next_number()
                memory.append(anonymous(other))
        with_present = ours.tell("moment", "fork", "bench", "--name", "of the present")
    return [Row("fork of a running 4 GiB machine at a moment", "ms", statistics.median(forking), floor=Goal(100, True),
                aim=Goal(20, True)),
            Row("  its first word after the start of its process", "ms", statistics.median(first_words)),
            Row(f"  its memory {SETTLED:g} s later", "MiB", statistics.median(memory), floor=Goal(20, True), aim=Goal(2, True)),
            Row("    the original's", "MiB", whole),
            Row("  with the present kept first", "ms", with_present)]


def working_set(bench: MomentBench) -> list[Row]:
    """Until the guest has written once to all that it works with, in a memory of which that is a small part."""
    pages = WORKING_SET_MIB << 8
    bench.run("working", 10000, 1, 1.0, area=WORKING_SET_MIB)
    ways = {"ours": "set", "lazy": "lazy", "whole": "whole"}
    bench.restored("working", "cold", "set", pages)  # it is learnt
    times = take_turns(max(3, bench.runs), {
        name: lambda way=way: bench.restored("working", "cold", way, pages) for name, way in ways.items()})
    return [Row(f"restore to {WORKING_SET_MIB} MiB worked with, cold", "ms", times["ours"], times["whole"], Goal(0.3),
                peer_name="all read"),
            Row("  without what was learnt", "ms", times["ours"], times["lazy"], aim=Goal(1 / 3.7), peer_name="lazy")]


def flat(bench: MomentBench) -> list[Row]:
    """Whether a larger memory makes it slower."""
    times = {}
    for memory in (1024, 8192):
        name = f"flat{memory}"
        bench.run(name, 0, 1, 0.1, memory=memory, filled=memory - 512)
        times[memory] = restored(bench, name, "warm")
        shutil.rmtree(bench.directory / name)
    return [Row("  of 8 GiB, beside 1 GiB", "ms", times[8192], times[1024], peer_name="1 GiB")]


def restored(bench: MomentBench, name: str, cache: str) -> float:
    bench.restored(name, cache)
    return statistics.median(bench.restored(name, cache) for _ in range(5))
