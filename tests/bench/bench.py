#!/usr/bin/env python3
"""bench.py BUILD_TREE [--runs N] [--json FILE] [FIGURE...]: Chronovisor beside QEMU, same guest, same KVM, same run.

Turns alternate between the two, so that a busy moment of the host meets both; medians are compared. A ratio below one is in
our favour for times and sizes, above one for throughputs. A figure that cannot be measured says why.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile

import host_figures
import lab_figures
import moment_figures
import timeline_figure
import window_figure
from figures import HEADER, Skip, tell, write_json

FIGURES = {
    "start": (host_figures.HostBench, host_figures.start),
    "memory": (host_figures.HostBench, host_figures.memory),
    "exits": (host_figures.HostBench, host_figures.exits),
    "suspend": (host_figures.HostBench, host_figures.suspend),
    "moments": (moment_figures.MomentBench, moment_figures.moments),
    "disk": (lab_figures.LabBench, lab_figures.disk),
    "network": (lab_figures.LabBench, lab_figures.network),
    "usb": (lab_figures.LabBench, lab_figures.usb),
    "stream": (lab_figures.LabBench, lab_figures.stream),
    "timeline": (timeline_figure.TimelineBench, timeline_figure.timeline),
    "stall": (window_figure.WindowBench, window_figure.stall),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)}; all without")
    arguments = parser.parse_intermixed_args()
    if unknown := set(arguments.figures) - set(FIGURES):
        parser.error(f"there is no figure {unknown.pop()}; there are {', '.join(FIGURES)}")
    tree = arguments.tree.resolve()
    results = []
    wanted = arguments.figures or list(FIGURES)
    print(HEADER, flush=True)
    for number, name in enumerate(wanted, 1):
        tell(f"{name}, {number} of {len(wanted)}")
        # In the build tree, which is on a disk: the system's place for temporary files may be memory.
        directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=tree))
        bench, figure = FIGURES[name]
        try:
            for row in figure(bench(tree, directory, arguments.runs)):
                print(row.line(), flush=True)
                results.append({"figure": name, **row.as_json()})
        except Skip as reason:
            print(f"{name:50} not measured: {reason}", flush=True)
            results.append({"figure": name, "skipped": str(reason)})
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    if arguments.json:
        write_json(arguments.json, results)
    return 1 if any(result.get("verdict") == "BELOW FLOOR" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
