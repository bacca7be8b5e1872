#!/usr/bin/env python3
"""format.py [--changed] [--fix]: does clang-format-16 agree with every file, or with those that differ from main?"""

import os
import shutil
import subprocess
import sys

import sources

FORMATTER = shutil.which("clang-format-16")


def main() -> int:
    files = sources.changed() if "--changed" in sys.argv else sources.every()
    if not FORMATTER:
        print("CHRONOVISOR-SKIP clang-format-16 is not installed")
        return 77
    if not files:
        return 0
    how = ["-i"] if "--fix" in sys.argv else ["--dry-run"]
    # A few files at a time on each processor.
    done = subprocess.run(["xargs", "-0", "-n", "20", "-P", str(os.cpu_count()), FORMATTER, *how],
                          input="\0".join(map(str, files)), text=True, stderr=subprocess.PIPE, check=False)
    differing = sorted({line.split(":", 1)[0] for line in done.stderr.splitlines()
                        if line.startswith("/") and "[-Wclang-format" in line})
    for name in differing:
        print(f"{os.path.relpath(name, sources.ROOT)}: not formatted; ./dev format puts it right")
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
    return 1 if differing or done.returncode != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
