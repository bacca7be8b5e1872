#!/usr/bin/python3
"""A timeline of 1,000 moments in a real window: opened, walked through by keys, scrubbed over, zoomed, and one moment more.

    long_timeline_test.py BENCH_SCRUB DIRECTORY

Keys lead to each moment, each shows its own picture, and no pictures are read but of what is in sight. The times are printed and
not judged: `./dev bench timeline` does that. Needs Xvfb, and says CHRONOVISOR-SKIP without it."""

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
MOST_KEPT = 96  # MiB of pictures, as app/session/moment_pictures.h has it
JUDGED = {"loaded": range(1, MOMENTS // 2), "unseen": [0], "reached": [MOMENTS], "wrong": [0]}
WANTED = [*JUDGED, "kept", "open", "scrub", "thumb", "next"]
WANTED += [f"stall_{what}" for what in ("open", "hover", "drag", "zoom", "arrival")]


def main():
    program, directory = map(os.path.abspath, sys.argv[1:3])
    if shutil.which("Xvfb") is None:
        print("CHRONOVISOR-SKIP: Xvfb is not installed")
        return 77
    os.makedirs(directory, exist_ok=True)
    with x_server() as display, tempfile.TemporaryDirectory(prefix="timeline-", dir=directory) as place:
        environment = dict(os.environ, DISPLAY=display, QT_QPA_PLATFORM="xcb")
        done = subprocess.run([program, place, str(MOMENTS), str(TURNS), "walk"], capture_output=True, text=True, timeout=PATIENCE,
                              check=False, env=environment)
    told = dict(re.findall(r"^(\w+) ([0-9.]+)$", done.stdout, re.MULTILINE))
    for name in WANTED:
        print(name, told.get(name, "is missing"))
    if done.returncode != 0 or set(WANTED) - set(told):
        print(f"FAILED with {done.returncode}: {done.stderr[-2000:]}")
        return 1
    wrong = [name for name, right in JUDGED.items() if int(told[name]) not in right]
    if float(told["kept"]) > MOST_KEPT:
        wrong.append("kept")
    if wrong:
        print("FAILED: not what it has to be:", *wrong)
        return 1
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
