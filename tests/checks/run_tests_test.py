#!/usr/bin/env python3
"""run_tests_test.py SKIPPING_SUITES: run_tests.py, and CTest below it, take what is skipped for skipped and what failed for failed,
whatever was printed."""

import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

RUN_TESTS = pathlib.Path(__file__).resolve().parents[1] / "run_tests.py"
sys.path.insert(0, str(RUN_TESTS.parent))
import run_tests


class RunTestsTest(unittest.TestCase):
    program = ""

    def run_entry(self, *command: str, skip: str = "SKIP_RETURN_CODE 77") -> tuple[list[str], int, bool]:
        """What run_tests.py says of one CTest entry at its end, its status, and whether CTest by itself was content."""
        with tempfile.TemporaryDirectory() as tree:
            words = " ".join(f"[==[{word}]==]" for word in command)
            (pathlib.Path(tree) / "CTestTestfile.cmake").write_text(
                f"add_test(entry {words})\nset_tests_properties(entry PROPERTIES LABELS unit {skip})\n", encoding="utf-8")
            said = subprocess.run([RUN_TESTS, tree, "unit"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60,
                                  check=False)
            ctest = subprocess.run(["ctest", "--test-dir", tree], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
                                   check=False)
        return said.stdout.rpartition("\n\n")[2].splitlines(), said.returncode, ctest.returncode == 0

    def test_each_skipped_row_is_told(self) -> None:
        self.assertEqual(self.run_entry(self.program, "AllSkippedTest"), (
            ["skipped: entry: AllSkippedTest::first() CHRONOVISOR-SKIP: there is no first",
             "skipped: entry: AllSkippedTest::second() CHRONOVISOR-SKIP: there is no second",
             "0 passed, 0 failed, 2 skipped"], 0, True))

    def test_a_class_that_never_began_is_skipped(self) -> None:
        self.assertEqual(self.run_entry(self.program, "NeverBegunTest"), (
            ["skipped: entry: NeverBegunTest::initTestCase() CHRONOVISOR-SKIP: there is nothing",
             "0 passed, 0 failed, 1 skipped"], 0, True))

    def test_what_passes_beside_a_skipped_row_counts(self) -> None:
        self.assertEqual(self.run_entry(self.program, "OneSkippedTest"), (
            ["skipped: entry: OneSkippedTest::skips() CHRONOVISOR-SKIP: there is no other",
             "1 passed, 0 failed, 1 skipped"], 0, True))

    def test_a_skipped_row_hides_no_failed_one(self) -> None:
        self.assertEqual(self.run_entry(self.program, "OneFailedTest"), (
            ["skipped: entry: OneFailedTest::skips() CHRONOVISOR-SKIP: there is no other",
             "failed: entry", "0 passed, 1 failed, 1 skipped"], 1, False))

    def test_a_skipped_row_hides_no_bad_end(self) -> None:
        self.assertEqual(self.run_entry(self.program, "BadEndTest"), (
            ["skipped: entry: BadEndTest::skips() CHRONOVISOR-SKIP: there is no other",
             "failed: entry", "0 passed, 1 failed, 1 skipped"], 1, False))

    def test_a_script_skips_with_its_status(self) -> None:
        self.assertEqual(self.run_entry("sh", "-c", "echo CHRONOVISOR-SKIP: no room; exit 77"), (
            ["skipped: entry: no room", "0 passed, 0 failed, 1 skipped"], 0, True))
        self.assertEqual(self.run_entry("sh", "-c", "echo CHRONOVISOR-SKIP: no room; exit 1")[1:], (1, False))

    def test_what_cannot_be_started_has_failed(self) -> None:
        self.assertEqual(self.run_entry("/no/such/program"), (
            ["failed: entry", "0 passed, 1 failed, 0 skipped"], 1, False))

    def test_nobody_skips_by_what_is_printed(self) -> None:
        said, status, _ = self.run_entry("true", skip="SKIP_REGULAR_EXPRESSION CHRONOVISOR-SKIP")
        self.assertIn("would hide that it failed", said[0])
        self.assertEqual((said[-1], status), ("1 passed, 1 failed, 0 skipped", 1))

    def started(self, command: str) -> tuple[int, run_tests.Count]:
        """How often a run in the lab was begun, and what it counted. The command finds where its report goes in $report."""
        with tempfile.TemporaryDirectory() as tree:
            run = run_tests.Run(pathlib.Path(tree), "kvm", lab_seconds=60)
            run.command = ["sh", "-c", f"cd {tree}; report={run.report}; echo >>starts; {command}"]
            count = run_tests.Count()
            run.carry_out(count)
            return len(pathlib.Path(tree, "starts").read_bytes()), count

    def test_where_l1_ended_it_is_tried_once_more(self) -> None:
        one = """echo "<tests><testcase name='one' status='run'/></tests>" >$report"""
        starts, count = self.started(f"[ $(wc -l <starts) = 2 ] || exit 124; {one}")
        self.assertEqual((starts, count.passed, count.failed), (2, 1, 0))
        starts, count = self.started("exit 124")
        self.assertEqual((starts, count.passed, count.failed), (2, 0, 1))

    def test_what_failed_in_the_lab_has_failed(self) -> None:
        starts, count = self.started("""echo "<tests><testcase name='one' status='fail'/></tests>" >$report; exit 8""")
        self.assertEqual((starts, count.failures), (1, ["one"]))

    def planned(self, kvm: bool, *labels: str) -> list[str]:
        with mock.patch("run_tests.usable_kvm", lambda: kvm):
            return [run.name for run in run_tests.runs(pathlib.Path("/tree"), list(labels))]

    def test_what_needs_nothing_but_processors_goes_side_by_side(self) -> None:
        self.assertEqual(self.planned(True, "unit", "tools", "kvm", "window", "lab"), ["unit and tools", "kvm", "kvm in the lab", "window", "lab"])
        self.assertEqual(self.planned(False, "unit", "tools", "kvm", "window", "lab"),
                         ["unit and tools", "kvm in the lab", "window", "window in the lab", "lab"])
        self.assertEqual(self.planned(False, "kvm", "window", "slow"), ["kvm in the lab", "window in the lab", "slow"])

    def jobs(self, kvm: bool) -> dict[str, str]:
        with mock.patch("run_tests.usable_kvm", lambda: kvm), mock.patch("os.cpu_count", lambda: 2):
            return {run.name: run.command[run.command.index("-j") + 1]
                    for run in run_tests.runs(pathlib.Path("/tree"), ["unit", "tools", "kvm", "window", "lab"])}

    def test_what_keeps_all_processors_busy_is_alone(self) -> None:
        self.assertEqual(self.jobs(True), {"unit and tools": "2", "kvm": "2", "kvm in the lab": "2", "window": "2", "lab": "1"})
        self.assertEqual(self.jobs(False), {"unit and tools": "2", "kvm in the lab": "2", "window": "2", "window in the lab": "1",
                                            "lab": "1"})

    def test_what_was_left_out_of_all_is_told(self) -> None:
        entries = {"lab": {"LABELS": ["lab"]}, "lab.zfs": {"LABELS": ["slow"]}}
        everything_else = [label for label in run_tests.LABELS if label != "slow"]
        self.assertEqual(run_tests.left_out(entries, everything_else), ["lab.zfs"])
        self.assertEqual(run_tests.left_out(entries, [*everything_else, "slow"]), [])
        self.assertEqual(run_tests.left_out(entries, ["lab"]), [])

    def test_of_the_windows_one_runs_in_the_lab(self) -> None:
        with mock.patch("run_tests.usable_kvm", lambda: False):
            here, there = run_tests.runs(pathlib.Path("/tree"), ["window"])
        self.assertEqual(here.command[here.command.index("-E") + 1], run_tests.WINDOW_IN_LAB)
        self.assertEqual(there.command[there.command.index("-R") + 1], run_tests.WINDOW_IN_LAB)


if __name__ == "__main__":
    RunTestsTest.program = sys.argv.pop()
    unittest.main()
