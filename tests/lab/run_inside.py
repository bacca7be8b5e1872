#!/usr/bin/env python3
"""run_inside.py [--peer] [--list [--steady]] [NAME...]: the lab's tests, inside L1. With --peer QEMU stands in for Chronovisor, which
shows whether the guests and the tests themselves are right. What became of each test is in LAB_RESULTS/outcomes.json,
written after every one, so that it is known too if L1 itself ends."""

import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import machines
import scenario

TRACING = pathlib.Path("/sys/kernel/tracing")
TRACED = ("kvm_exit", "kvm_page_fault", "kvm_msr", "kvm_inj_virq", "kvm_apic_accept_irq")


def start_tracing() -> None:
    """What KVM did last says more of a guest that fell over than anything outside it: a triple fault leaves no registers."""
    subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING], check=False, capture_output=True)
    try:
        (TRACING / "buffer_size_kb").write_text("512")
        for event in TRACED:
            (TRACING / "events/kvm" / event / "enable").write_text("1")
    except OSError as error:
        print(f"(no trace of KVM: {error})", flush=True)


def expired(*_) -> None:
    raise machines.Failure("its time limit passed")


def keep_evidence(machine: machines.Machine, name: str) -> None:
    """The console and the screen of a machine whose test failed, where the person can look at them."""
    results = os.environ.get("LAB_RESULTS")
    if not results:
        return
    try:
        (pathlib.Path(results) / f"{name}.trace").write_bytes((TRACING / "trace").read_bytes())
    except OSError:
        pass  # it was said at the start
    if machine.console:
        # Tests keep what the kernel has to say off the console, where it would be in between their lines.
        try:
            machine.console.send("\x03")
            time.sleep(3)  # a shell may be starting, which loses what is typed before that
            machine.console.send('\ndmesg | tail -n 100; echo "the end of "dmesg\n')
            machine.console.expect("the end of dmesg\n", 20)
        except Exception:  # there is no shell, or no guest any more
            pass
        (pathlib.Path(results) / f"{name}.console").write_text(machine.console.tail(100000), encoding="utf-8")
    try:
        (pathlib.Path(results) / f"{name}.ppm").write_bytes(machine.screenshot())
    except Exception as error:  # it may be gone, or have no screen
        print(f"    (no picture of it: {error})")


def run(test, lab: scenario.Lab) -> str:
    """"PASS", "SKIP: reason" or "FAIL: reason"."""
    signal.signal(signal.SIGALRM, expired)
    signal.alarm(int(test.seconds * machines.PATIENCE))
    try:
        lab.begin(test)
        test.function(lab)
        lab.check_images()
        return "PASS"
    except scenario.Skip as reason:
        return f"SKIP: {reason}"
    except Exception as error:  # whatever it is, it is this test's failure and the next one still runs
        signal.alarm(0)
        details = "" if isinstance(error, machines.Failure) else "\n" + traceback.format_exc()
        for number, machine in enumerate(lab.machines):
            keep_evidence(machine, f"{test.name}-{number}")
            details += f"\n--- the end of the console of {machine.name}\n{machine.console.tail(90) if machine.console else ''}"
            details += f"\n--- its errors\n{machine.errors()}"
        return f"FAIL: {error or type(error).__name__}{details}"
    finally:
        signal.alarm(0)
        lab.clean_up()


def main() -> int:
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    for file in sorted((HERE / "scenarios").glob("*.py")):
        importlib.import_module(f"scenarios.{file.stem}")
    tests = [test for test in scenario.all_tests if not words or test.name in words]
    if "--list" in sys.argv:
        print(*(test.name for test in tests if test.steady or "--steady" not in sys.argv), sep="\n")
        return 0
    peer = "--peer" in sys.argv
    lab = scenario.Lab(machines.QemuMachine if peer else machines.ChronovisorMachine)
    start_tracing()
    print(f"LAB_SEED={scenario.SEED}", flush=True)
    outcomes = {}
    results = pathlib.Path(os.environ["LAB_RESULTS"]) if "LAB_RESULTS" in os.environ else None
    for number, test in enumerate(tests, 1):
        print(f"[{number}/{len(tests)}] {test.name}", flush=True)
        began = time.monotonic()
        outcome = outcomes[test.name] = run(test, lab)
        if results:
            (results / "outcomes.json").write_text(json.dumps(outcomes), encoding="utf-8")
        if outcome.startswith("SKIP: "):
            print(f"SKIP {test.name}: {outcome[6:]}", flush=True)
        else:
            print(f"    {outcome} ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if any(outcome.startswith("FAIL") for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
