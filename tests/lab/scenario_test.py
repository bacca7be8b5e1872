#!/usr/bin/env python3
"""What the lab skips, and what it does not."""

import os
import unittest
from unittest import mock

import cache
import run_inside
import scenario
from machines import QemuMachine

BROKEN = "FAIL: the guest linux could not be made; before L1 began it was told why"


class SkipTest(unittest.TestCase):
    def outcome(self, kind: type = QemuMachine, kvm: bool = True, **environment: str) -> str:
        test = scenario.LabTest("passes", lambda lab: None, seconds=60, needs=("linux",), steady=False)
        lab = scenario.Lab(kind)
        self.addCleanup(lab.directory.rmdir)
        with mock.patch.dict(os.environ, environment), \
                mock.patch("os.access", lambda path, _: kvm if path == "/dev/kvm" else os.path.exists(path)):
            return run_inside.run(test, lab)

    def test_what_has_all_runs(self) -> None:
        self.assertEqual(self.outcome(LAB_GUEST_LINUX="/"), "PASS")

    def test_a_guest_that_could_not_be_downloaded_skips(self) -> None:
        self.assertEqual(self.outcome(), "SKIP: the guest linux could not be downloaded")

    def test_a_guest_that_could_not_be_made_fails(self) -> None:
        self.assertEqual(self.outcome(LAB_BROKEN_LINUX="1"), BROKEN)

    def test_a_build_without_the_program_fails(self) -> None:
        with mock.patch.object(scenario.ChronovisorMachine, "program", "/no/such/program"):
            self.assertEqual(self.outcome(scenario.ChronovisorMachine, LAB_GUEST_LINUX="/"),
                             "FAIL: there is no chronoctl in this build")

    def test_an_l1_without_kvm_fails(self) -> None:
        self.assertEqual(self.outcome(kvm=False, LAB_GUEST_LINUX="/"), "FAIL: there is no /dev/kvm")

    def test_only_what_apt_cannot_fetch_is_a_download(self) -> None:
        fetching = "echo 'E: Failed to fetch http://mirror/file  Could not resolve \"mirror\"' >&2; exit 100"
        with self.assertRaises(cache.DownloadError):
            cache.run("sh", "-c", fetching)
        for command in (("sh", "-c", "echo 'E: no space left' >&2; exit 100"), ("/no/such/program",)):
            with self.assertRaises(cache.LabError) as raised:
                cache.run(*command)
            self.assertNotIsInstance(raised.exception, cache.DownloadError)


if __name__ == "__main__":
    unittest.main()
