#!/usr/bin/env python3
"""What the lab skips, and what it does not."""

import os
import pathlib
import subprocess
import unittest
from unittest import mock

import cache
import run_inside
import scenario
from machines import Failure, QemuMachine

BROKEN = "FAIL: the guest linux could not be made; before L1 began it was told why"


class SkipTest(unittest.TestCase):
    def outcome(self, kind: type = QemuMachine, kvm: bool = True, usb: bool = False, **environment: str) -> str:
        test = scenario.LabTest("passes", lambda lab: None, seconds=60, needs=("linux",), steady=False, usb=usb)
        lab = scenario.Lab(kind)
        self.addCleanup(lab.directory.rmdir)
        with mock.patch.dict(os.environ, {"CI": "", **environment}), \
                mock.patch("os.access", lambda path, _: kvm if path == "/dev/kvm" else os.path.exists(path)):
            return run_inside.run(test, lab)

    def test_what_has_all_runs(self) -> None:
        self.assertEqual(self.outcome(LAB_GUEST_LINUX="/"), "PASS")

    def test_a_guest_that_could_not_be_downloaded_skips(self) -> None:
        self.assertEqual(self.outcome(), "SKIP: the guest linux could not be downloaded")

    def test_in_ci_it_fails(self) -> None:
        self.assertEqual(self.outcome(CI="1"), "FAIL: the guest linux could not be downloaded")
        self.assertEqual(self.outcome(CI="1", LAB_GUEST_LINUX="/"), "PASS")

    def test_a_guest_that_could_not_be_made_fails(self) -> None:
        self.assertEqual(self.outcome(LAB_BROKEN_LINUX="1"), BROKEN)

    def test_a_build_without_the_program_fails(self) -> None:
        with mock.patch.object(scenario.ChronovisorMachine, "program", "/no/such/program"):
            self.assertEqual(self.outcome(scenario.ChronovisorMachine, LAB_GUEST_LINUX="/"),
                             "FAIL: there is no chronoctl in this build")

    def test_an_l1_without_kvm_fails(self) -> None:
        self.assertEqual(self.outcome(kvm=False, LAB_GUEST_LINUX="/"), "FAIL: there is no /dev/kvm")

    def test_the_peer_is_not_asked_for_usb(self) -> None:
        self.assertEqual(self.outcome(usb=True, LAB_GUEST_LINUX="/"), "SKIP: the peer is driven without USB")
        with mock.patch.object(scenario.ChronovisorMachine, "program", "/bin/true"):
            self.assertEqual(self.outcome(scenario.ChronovisorMachine, usb=True, LAB_GUEST_LINUX="/"), "PASS")

    def test_only_what_apt_cannot_fetch_is_a_download(self) -> None:
        fetching = "echo 'E: Failed to fetch http://mirror/file  Could not resolve \"mirror\"' >&2; exit 100"
        with self.assertRaises(cache.DownloadError):
            cache.run("sh", "-c", fetching)
        for command in (("sh", "-c", "echo 'E: no space left' >&2; exit 100"), ("/no/such/program",)):
            with self.assertRaises(cache.LabError) as raised:
                cache.run(*command)
            self.assertNotIsInstance(raised.exception, cache.DownloadError)


class ImagesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.lab = scenario.Lab(QemuMachine)
        self.machine = QemuMachine()
        self.lab.machines = [self.machine]
        self.addCleanup(self.lab.directory.rmdir)
        self.addCleanup(self.lab.clean_up)
        self.checked: list[pathlib.Path] = []

    def check(self, status: int) -> None:
        """With a qemu-img that ends so."""
        def qemu_img(command: list[str], **_) -> subprocess.CompletedProcess:
            self.checked.append(pathlib.Path(command[-1]))
            return subprocess.CompletedProcess(command, status, "", "")

        with mock.patch("subprocess.run", qemu_img):
            self.lab.check_images()

    def image(self, folder: pathlib.Path, name: str, first: bytes = b"QFI\xfb") -> pathlib.Path:
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(first)
        return file

    def test_every_image_is_judged_wherever_it_lies(self) -> None:
        images = [self.image(self.lab.directory, "disk0.qcow2"), self.image(self.lab.directory, "disk1.raw"),
                  self.image(self.machine.directory, "machine/fork.img")]
        self.image(self.lab.directory, "disk2.raw", b"boot")
        self.check(0)
        self.assertEqual(sorted(self.checked), sorted(images))

    def test_a_bad_image_in_a_machines_folder_fails(self) -> None:
        self.image(self.machine.directory, "machine/disk0")
        with self.assertRaises(Failure):
            self.check(2)

    def test_only_a_machine_that_loses_its_power_may_leak(self) -> None:
        only_leaks = 3
        self.image(self.machine.directory, "disk0")
        with self.assertRaises(Failure):
            self.check(only_leaks)
        with subprocess.Popen(["sleep", "60"]) as self.machine.process:
            self.check(only_leaks)


if __name__ == "__main__":
    unittest.main()
