#!/usr/bin/env python3
"""run_tests.py BUILD_TREE LABEL...: runs CTest label by label and counts what passed, failed and was skipped.

Where this machine's KVM cannot be used, what needs one runs in the lab: the kvm tests, and of the desktop's windows the one
that goes from a new machine to a restored one; with the label slow all of them. One after the other: an L1 keeps two processors
busy. Units and tools are one run of CTest, so that no processor waits for the last test of a label. The last line is `N passed, N
failed, N skipped`. A Qt Test program counts with each of its test functions, the lab with each of its tests, anything else as one.
"""

import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import time
import xml.etree.ElementTree
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABELS = ("unit", "tools", "kvm", "window", "lab", "slow")
QT_TOTALS = re.compile(r"^Totals: (\d+) passed, (\d+) failed, (\d+) skipped, \d+ blacklisted", re.MULTILINE)
OUR_TOTALS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
QT_SKIP = re.compile(r"^SKIP\s*: (.+)$", re.MULTILINE)
OWN_SKIP = re.compile(r"^(?:CHRONOVISOR-SKIP|SKIP):? (.+)$", re.MULTILINE)
LAB_ENDED = 124  # the lab's own status
# What old releases have written goes on where the processor has what theirs had; the lab's always has.
GOLDEN = r"^kvm_tests\.Golden"
WINDOW_IN_LAB = r"^window\.desktop$"
SKIPPED = "SKIP_RETURN_CODE"  # CTest's reason, where a program has ended with 77
QT_OVERHEAD = 2  # initTestCase and cleanupTestCase pass in every Qt Test class and test nothing


class Count:
    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0
        self.failures: list[str] = []
        self.reasons: list[str] = []

    def read(self, run: "Run") -> None:
        if not run.report.exists():
            self.failed += 1
            self.failures.append(f"the {run.name} tests ended without a report")
            return
        for case in xml.etree.ElementTree.parse(run.report).getroot().iter("testcase"):
            self.add(case)

    def add(self, case: xml.etree.ElementTree.Element) -> None:
        name = case.get("name", "?")
        output = case.findtext("system-out") or ""
        self.reasons += [f"{name}: {reason}" for reason in QT_SKIP.findall(output) or OWN_SKIP.findall(output)]
        totals = [tuple(map(int, found)) for found in QT_TOTALS.findall(output)]
        skipped = case.find("skipped")
        if not totals and (case.get("status") == "disabled" or (skipped is not None and SKIPPED in skipped.get("message", ""))):
            self.skipped += 1
            return
        passed = sum(max(0, found[0] - QT_OVERHEAD) for found in totals)
        own = [tuple(map(int, found)) for found in OUR_TOTALS.findall(output)] if not totals else []
        totals += own[-1:]
        passed += own[-1][0] if own else 0
        failed = sum(found[1] for found in totals)
        # A crash, a leak and a time limit fail no row, and what could not be started has none.
        if case.get("status") == "fail" or (case.get("status") == "notrun" and not totals):
            failed = max(failed, 1)
            self.failures.append(name)
        elif failed:
            self.failures.append(name)
        elif not totals:
            passed = 1
        self.passed += passed
        self.failed += failed
        self.skipped += sum(found[2] for found in totals)


def registered(tree: pathlib.Path) -> dict[str, dict]:
    """Every CTest entry with its properties."""
    listed = subprocess.run(["ctest", "--test-dir", tree, "--show-only=json-v1"], check=True, stdout=subprocess.PIPE)
    return {test["name"]: {one["name"]: one["value"] for one in test.get("properties", [])}
            for test in json.loads(listed.stdout)["tests"]}


def usable_kvm() -> bool:
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def processor_seconds() -> float:
    """What all that has ended below us has taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Run:
    """One start of CTest, of the tests of one label or of several."""

    def __init__(self, tree: pathlib.Path, *labels: str, lab_seconds: int = 0, chosen: tuple[str, ...] = ()) -> None:
        """`lab_seconds`: in the lab, for so long at most. `chosen`: CTest's options, which leave only some."""
        self.name = " and ".join(labels) + (" in the lab" if lab_seconds else "")
        self.attempts = 2 if lab_seconds else 1  # L1's software CPU has faults that are not the product's
        # L1's CTest has a log of its own, in its copy of the tree.
        self.report = tree / ("lab-reports" if lab_seconds else "Testing") / f"{'-'.join(labels)}.xml"
        # Each window has an X server of its own, and waits for it; in the lab its guest and its screen reader are emulated, too.
        alone = set(labels) & {"lab", "slow"} or (lab_seconds and "window" in labels)
        jobs = 1 if alone else os.cpu_count()
        self.command = ["ctest", "--test-dir", str(tree), "-L", f"^({'|'.join(labels)})$", *chosen, "--output-on-failure",
                        "--no-tests=ignore", "--output-junit", str(self.report), "--test-output-size-passed", "4000000",
                        "--test-output-size-failed", "4000000", "-j", str(jobs)]
        if set(labels) & {"lab", "slow"}:
            self.command.insert(1, "--verbose")  # one long test: show it while it runs
        self.environment = dict(os.environ)
        if lab_seconds:
            # Its X server and its screen reader are emulated, too.
            if "window" in labels:
                self.environment["CHRONOVISOR_TEST_PATIENCE"] = "8"
            # L1's copy of the tree goes with it; what the tests leave there shall stay.
            shared = [self.report.parent, *(tree / f"{one}-test" for one in ("window", "timeline", "wayland"))]
            writable = [word for folder in shared for word in ("-w", str(folder))]
            # At nice 19 there is nothing left to give way to: storing a moment would wait there for guests of other tests that are
            # never idle (vmm/base/give_way.h).
            self.command = [str(ROOT / "tests/lab/lab"), "-t", str(lab_seconds), *writable, "--", "nice", "-n", "19", *self.command]

    def carry_out(self, count: Count) -> None:
        self.report.parent.mkdir(exist_ok=True)
        self.report.unlink(missing_ok=True)
        for _ in range(self.attempts):
            print(f"\n=== {self.name}", flush=True)
            began, used = time.monotonic(), processor_seconds()
            status = subprocess.run(self.command, env=self.environment, check=False).returncode
            took, used = time.monotonic() - began, processor_seconds() - used
            print(f"=== {self.name}: {took:.0f} s, {used:.0f} s of processors", flush=True)
            if status != LAB_ENDED or self.report.exists():
                break
            print("L1 ended before the tests did.", flush=True)
        count.read(self)


def runs(tree: pathlib.Path, labels: list[str]) -> Iterator[Run]:
    joined = [label for label in ("unit", "tools") if label in labels]  # need nothing but processors
    if joined:
        yield Run(tree, *joined)
    for label in labels:
        if label in joined:
            continue
        if usable_kvm() or label not in ("kvm", "window"):
            yield Run(tree, label)
            if label == "kvm" and "lab" in labels:
                yield Run(tree, label, lab_seconds=300, chosen=("-R", GOLDEN))
        elif label == "kvm":
            yield Run(tree, label, lab_seconds=1200)
        elif "slow" in labels:
            yield Run(tree, label, lab_seconds=3600)
        else:  # each takes minutes there
            yield Run(tree, label, chosen=("-E", WINDOW_IN_LAB))
            yield Run(tree, label, lab_seconds=900, chosen=("-R", WINDOW_IN_LAB))


def left_out(entries: dict[str, dict], labels: list[str]) -> list[str]:
    """What nobody asked for by name, and everybody who asked for all the rest may take for done."""
    if not set(LABELS) - {"slow"} <= set(labels) or "slow" in labels:
        return []
    return [name for name, properties in entries.items() if "slow" in properties.get("LABELS", [])]


def begin_to_prepare_guests() -> None:
    """Beside the first tests: most of it waits for the network. Who needs a guest that is not there yet waits for that, or makes
    it, and says why it cannot be made."""
    subprocess.Popen([ROOT / "tests/lab/guests.py"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main(tree: pathlib.Path, labels: list[str]) -> int:
    count = Count()
    if "lab" in labels:
        begin_to_prepare_guests()
    entries = registered(tree)
    for name, properties in entries.items():
        if not set(properties.get("LABELS", [])) & set(LABELS):
            count.failed += 1
            count.failures.append(f"{name}: has none of the labels {', '.join(LABELS)}, so it would never run")
        if "SKIP_REGULAR_EXPRESSION" in properties:
            count.failed += 1
            count.failures.append(f"{name}: a text that it prints would hide that it failed; skip with SKIP_RETURN_CODE")
    used = {label for properties in entries.values() for label in properties.get("LABELS", [])}
    for run in runs(tree, [label for label in labels if label in used]):
        run.carry_out(count)
    for name in left_out(entries, labels):
        count.skipped += 1
        count.reasons.append(f"{name}: takes minutes to prepare; `./dev test --all` runs it")
    print()
    for reason in sorted(set(count.reasons)):
        print(f"skipped: {reason}")
    for failure in count.failures:
        print(f"failed: {failure}")
    print(f"{count.passed} passed, {count.failed} failed, {count.skipped} skipped")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]))
