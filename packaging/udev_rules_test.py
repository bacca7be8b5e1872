#!/usr/bin/env python3
"""udev_rules_test.py: our rule for USB devices is one that udev takes, in time, and for the devices that it is meant for.

Ends with `N passed, N failed, N skipped`."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import udev_rules

FILE = pathlib.Path(__file__).resolve().parent / "70-chronovisor-usb.rules"
STICK = {"ACTION": "add", "SUBSYSTEM": "usb", "ENV{DEVTYPE}": "usb_device", "ATTR{bDeviceClass}": "00"}


def tags_of(**changes: str) -> set[str]:
    names = {"kind": "ENV{DEVTYPE}", "device_class": "ATTR{bDeviceClass}"}
    return udev_rules.tags(udev_rules.read(FILE), STICK | {names.get(key, key): value for key, value in changes.items()})


class Rule(unittest.TestCase):
    def test_devices_are_for_whoever_sits_there(self):
        for action in ("add", "change", "bind"):
            self.assertEqual(tags_of(ACTION=action), {"uaccess"})
        self.assertEqual(tags_of(device_class="ff"), {"uaccess"})

    def test_nothing_else_is(self):
        self.assertEqual(tags_of(device_class="09"), set())  # hubs
        self.assertEqual(tags_of(kind="usb_interface"), set())
        self.assertEqual(tags_of(SUBSYSTEM="block"), set())
        self.assertEqual(tags_of(ACTION="remove"), set())

    def test_udevadm_takes_it(self):
        told = subprocess.run(["udevadm", "--version"], capture_output=True, text=True, check=False) \
            if shutil.which("udevadm") else None
        if not told or int(re.match(r"\d*", told.stdout)[0] or 0) < 254:
            self.skipTest("udevadm verify came with systemd 254")
        done = subprocess.run(["udevadm", "verify", FILE], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class WrongRules(unittest.TestCase):
    """What is wrong with a rule is found: each is ours with one thing changed."""

    def faulty(self, old: str, new: str, name: str = FILE.name) -> None:
        text = FILE.read_text(encoding="ascii")
        self.assertIn(old, text)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, name)
            file.write_text(text.replace(old, new), encoding="ascii")
            with self.assertRaises(udev_rules.Fault):
                udev_rules.read(file)

    def test_too_late(self):
        self.faulty("", "", "73-chronovisor-usb.rules")
        self.faulty("", "", "99-chronovisor-usb.rules")

    def test_a_name_that_udev_does_not_read(self):
        self.faulty("", "", "70-chronovisor-usb.rule")
        self.faulty("", "", "chronovisor-usb.rules")

    def test_what_is_no_rule(self):
        for old, new in (('SUBSYSTEM=="usb"', 'SUBSYSTEM="usb"'), ('SUBSYSTEM=="usb"', 'SUBSYSTEM=="usb'),
                         ('"usb",', '"usb"'), ("SUBSYSTEM", "subsystem"), ("SUBSYSTEM", "SUBSISTEM"),
                         ("ATTR{bDeviceClass}", "ATTR"), ("ENV{DEVTYPE}", "ENV"), ("TAG+=", "TAG="), ("TAG+=", "TAG=="),
                         ('"uaccess"', '"uaccess",'), ('TAG+="uaccess"', 'TAG+="uaccess", \\')):
            with self.subTest(new):
                self.faulty(old, new)

    def test_a_rule_for_everything(self):
        self.faulty('ACTION!="remove", SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{bDeviceClass}!="09", ', "")


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    for test, reason in result.skipped:
        print(f"SKIP: {test.id()}: {reason}")
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
