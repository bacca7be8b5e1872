"""The figure of the timeline in the desktop: opening one of 1,000 moments, and scrubbing to the picture of one of them."""

import os
import pathlib
import re
import statistics
import subprocess

from figures import Goal, Row, Skip, turns

MOMENTS = 1000


class TimelineBench:
    def __init__(self, tree: pathlib.Path, directory: pathlib.Path, runs: int) -> None:
        self.program, self.directory, self.runs = tree / "bin" / "bench_scrub", directory, min(runs, 3)
        if not self.program.exists():
            raise Skip(f"{self.program.name} is not built")


def timeline(bench: TimelineBench) -> list[Row]:
    """The widgets draw into memory, as on X11; what an X server needs to show that is not in it."""
    opened: list[float] = []
    scrubbed: list[float] = []
    stepped: list[float] = []
    seen: list[float] = []
    stalls: dict[str, list[float]] = {}
    for turn in turns(bench.runs):
        place = bench.directory / str(turn)
        place.mkdir()
        done = subprocess.run([str(bench.program), str(place), str(MOMENTS)], capture_output=True, text=True, check=False,
                              env=dict(os.environ, QT_QPA_PLATFORM="offscreen"))
        if done.returncode != 0:
            raise Skip("the program failed: " + done.stderr.strip())
        for what, value in re.findall(r"(\w+) ([0-9.]+)", done.stdout):
            if "_" in what:
                stalls.setdefault(what, []).append(float(value))
                continue
            {"open": opened, "scrub": scrubbed, "next": stepped, "thumb": seen}[what].append(float(value))
    worst = statistics.quantiles(seen, n=100)[98]
    return [Row(f"timeline of {MOMENTS} moments: open", "ms", statistics.median(opened), floor=Goal(300, True),
                aim=Goal(100, True)),
            Row("  scrub to a thumbnail not looked at before", "ms", statistics.median(seen), floor=Goal(50, True),
                aim=Goal(16, True)),
            Row("  the slowest of a hundred", "ms", worst),
            Row("  its whole picture", "ms", statistics.median(scrubbed)),
            Row("  step to the neighbour", "ms", statistics.median(stepped)),
            *stall_rows(stalls)]


def stall_rows(stalls: dict[str, list[float]]) -> list[Row]:
    """How long the GUI thread is away at the longest, as in the figure "stall"."""
    names = {"open": "while it is opened", "hover": "while the pointer goes over it", "drag": "while it is scrubbed",
             "zoom": "while it is zoomed", "arrival": "while a moment arrives"}
    rows = []
    for name, words in names.items():
        rows.append(Row(f"  longest stall {words}", "ms", statistics.median(stalls[f"stall_{name}"]),
                        floor=Goal(50, True), aim=Goal(16, True)))
        rows.append(Row("    without its waits for a processor", "ms", statistics.median(stalls[f"own_{name}"])))
    return rows
