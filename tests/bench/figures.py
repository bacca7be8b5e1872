"""What a figure is: a measured pair of ours and QEMU's, what it must reach and what it should, and how it is printed."""

import dataclasses
import json
import pathlib
import statistics
import sys
import typing


class Skip(Exception):
    """Why a figure cannot be measured."""


@dataclasses.dataclass(frozen=True)
class Goal:
    """A limit, of the ratio to QEMU or of our own value."""
    limit: float
    of_value: bool = False

    def text(self, unit: str) -> str:
        return f"{self.limit:g} {unit}" if self.of_value else f"{self.limit:g}x"


@dataclasses.dataclass
class Row:
    what: str
    unit: str
    ours: float
    peer: float | None = None  # QEMU's, or what `peer_name` says
    floor: Goal | None = None  # without one the row is only told beside the others
    aim: Goal | None = None
    larger_is_better: bool = False
    peer_name: str = "QEMU"

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None

    def reaches(self, goal: Goal) -> bool:
        value = self.ours if goal.of_value else self.ratio
        return value is not None and (value >= goal.limit if self.larger_is_better else value <= goal.limit)

    @property
    def verdict(self) -> str:
        if self.floor and not self.reaches(self.floor):
            return "BELOW FLOOR"
        if self.aim and self.reaches(self.aim):
            return "aim reached"
        return "pass" if self.floor else ""

    def line(self) -> str:
        peer = "" if self.peer is None else f"{self.peer_name} {self.peer:.2f}"
        ratio = f"{self.ratio:.2f}x" if self.peer else ""
        floor, aim = (goal.text(self.unit) if goal else "" for goal in (self.floor, self.aim))
        return f"{self.what:50} {self.ours:10.2f} {self.unit:5} {peer:>22} {ratio:>7} {floor:>7} {aim:>7}  {self.verdict}"

    def as_json(self) -> dict:
        return {"what": self.what, "unit": self.unit, "ours": self.ours, "peer": self.peer, "peerName": self.peer_name,
                "ratio": self.ratio, "verdict": self.verdict}


HEADER = f"{'':50} {'ours':>10} {'':5} {'the peer':>22} {'ratio':>7} {'floor':>7} {'aim':>7}"

Measure = typing.Callable[[], float]


def tell(what: str) -> None:
    """What goes on now, beside the rows: the next of them may be minutes away."""
    print(f"▸ {what}", file=sys.stderr, flush=True)


def turns(count: int) -> typing.Iterator[int]:
    for turn in range(count):
        tell(f"  turn {turn + 1} of {count}")
        yield turn


def take_turns(runs: int, ways: dict[str, Measure], warm_up: bool = True) -> dict[str, float]:
    """The median of each way, all measured turn by turn, so that a busy moment of the host meets every one of them. A first
    turn warms caches and does not count."""
    results: dict[str, list[float]] = {name: [] for name in ways}
    for turn in turns(runs + warm_up):
        for name, measure in ways.items():
            value = measure()
            if turn >= warm_up:
                results[name].append(value)
    return {name: statistics.median(values) for name, values in results.items()}


def write_json(file: pathlib.Path, results: list[dict]) -> None:
    file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
