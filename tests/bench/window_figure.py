"""The figure of the desktop: how long its own thread is ever away from its events, in a real window under Xvfb."""

import pathlib
import re
import statistics
import subprocess

from figures import Goal, Row, Skip, turns

TEST = pathlib.Path(__file__).resolve().parents[1] / "window" / "desktop_test.py"


class WindowBench:
    def __init__(self, tree: pathlib.Path, directory: pathlib.Path, runs: int) -> None:
        self.program, self.directory, self.runs = tree / "bin" / "chronovisor", directory, min(runs, 3)
        if not self.program.exists():
            raise Skip(f"{self.program.name} is not built")


def stall(bench: WindowBench) -> list[Row]:
    """The window test ends with a restore, a boot and a suspend by the keyboard alone, and says the longest stall."""
    stalls, own = [], []
    for turn in turns(bench.runs):
        done = subprocess.run([str(TEST), str(bench.program), str(bench.directory / str(turn))], capture_output=True,
                              text=True, check=False)
        if reason := re.search(r"CHRONOVISOR-SKIP: (.*)", done.stdout):
            raise Skip(reason[1])
        found = re.search(r"longest stall ([0-9.]+) ms, without waits for a processor ([0-9.]+) ms", done.stdout)
        if done.returncode != 0 or not found:
            raise Skip("the window test failed: " + " / ".join((done.stdout + done.stderr).strip().splitlines()[-2:]))
        stalls.append(float(found[1]))
        own.append(float(found[2]))
    return [Row("longest stall of the desktop's thread", "ms", statistics.median(stalls), floor=Goal(50, True),
                aim=Goal(16, True)),
            Row("  without its waits for a processor", "ms", statistics.median(own))]
