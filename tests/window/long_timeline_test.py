#!/usr/bin/python3
"""A timeline of 1,000 moments in a real window: opened, scrubbed over, zoomed, and one moment more.

    long_timeline_test.py BENCH_SCRUB DIRECTORY

What is measured meanwhile is printed and not judged: `./dev bench timeline` does that. Needs Xvfb, and says
CHRONOVISOR-SKIP without it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

from x_server import x_server

PATIENCE = 240 * float(os.environ.get("CHRONOVISOR_TEST_PATIENCE", "1"))  # seconds
MOMENTS = 1000
TURNS = 10
WANTED = ["open", "scrub", "thumb", "next"] + [f"stall_{what}" for what in ("open", "hover", "drag", "zoom", "arrival")]


def main():
    program, directory = map(os.path.abspath, sys.argv[1:3])
    if shutil.which("Xvfb") is None:
        print("CHRONOVISOR-SKIP: Xvfb is not installed")
        return 77
    os.makedirs(directory, exist_ok=True)
    with x_server() as display, tempfile.TemporaryDirectory(prefix="timeline-", dir=directory) as place:
        environment = dict(os.environ, DISPLAY=display, QT_QPA_PLATFORM="xcb")
        done = subprocess.run([program, place, str(MOMENTS), str(TURNS)], capture_output=True, text=True, timeout=PATIENCE,
                              check=False, env=environment)
    told = dict(re.findall(r"^(\w+) ([0-9.]+)$", done.stdout, re.MULTILINE))
    for name in WANTED:
        print(name, told.get(name, "is missing"))
    if done.returncode != 0 or set(WANTED) - set(told):
        print(f"FAILED with {done.returncode}: {done.stderr[-2000:]}")
        return 1
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
