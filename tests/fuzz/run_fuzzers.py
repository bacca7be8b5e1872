#!/usr/bin/env python3
"""run_fuzzers.py BUILD_TREE [--seconds N] [--only NAME]: runs each fuzzer of the preset `fuzz` for so long. What it finds new goes
to BUILD_TREE/corpus; an input that crashes it lies in BUILD_TREE/crashes, to be minimised and added to tests/fuzz/corpus."""

import argparse
import os
import pathlib
import subprocess
import sys

import seeds

HERE = pathlib.Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    made = arguments.tree / "seeds"
    seeds.write(made)
    names = sorted(path.stem for path in HERE.rglob("*_fuzzer.cpp"))
    failed = []
    for name in [arguments.only] if arguments.only else names:
        grown, crashes = arguments.tree / "corpus" / name, arguments.tree / "crashes"
        grown.mkdir(parents=True, exist_ok=True)
        crashes.mkdir(exist_ok=True)
        command = [str(arguments.tree / "bin" / name), f"-max_total_time={arguments.seconds}", "-rss_limit_mb=2048",
                   "-timeout=10", "-print_final_stats=1", f"-artifact_prefix={crashes}/{name}-", str(grown)]
        command += [str(folder) for folder in (HERE / "corpus" / name, made / name) if folder.is_dir()]
        words = made / f"{name}.dict"
        if words.exists():
            command.append(f"-dict={words}")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              check=False,
                              env=os.environ | {"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"})
        executed = next((line.split()[-1] for line in done.stdout.splitlines() if "number_of_executed_units" in line),
                        "0")
        print(f"{name}: {executed} inputs, {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
        if done.returncode != 0:
            failed.append(name)
            print(*done.stdout.splitlines()[-60:], sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
