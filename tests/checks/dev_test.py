#!/usr/bin/env python3
"""`./dev` says clearly what is wrong, and does nothing when there is nothing to do. The real script, in a directory and with a
PATH of its own: what it would start (dpkg-query, apt-get, sudo, cmake …) are stubs that write down how they were called, and
what it reads of the computer (/dev/kvm, /proc/cpuinfo, /etc/os-release, apt's lists) are files of the test."""

import argparse
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ("bash", "dirname", "readlink", "grep", "mkdir", "tail", "cat", "env", "ls", "head")
NOBODY = 65534


class Computer:
    """A computer as `dev` sees it; everything is there, and in order, until a test takes it away."""

    def __init__(self) -> None:
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="dev-test-"))
        self.bin, self.log = self.root / "bin", self.root / "log"
        self.bin.mkdir()
        self.log.touch()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.kvm, self.cpuinfo = self.root / "kvm", self.root / "cpuinfo"
        self.kvm.touch()
        self.kvm.chmod(0o666)
        self.cpuinfo.write_text("flags : fpu vmx\n")
        self.release = self.root / "os-release"
        self.release.write_text('VERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n')
        self.lists = self.root / "lists"
        self.lists.mkdir()
        (self.lists / "deb_Packages").touch()
        text = (ROOT / "dev").read_text()
        for real, ours in (("/dev/kvm", self.kvm), ("/proc/cpuinfo", self.cpuinfo), ("/etc/os-release", self.release),
                           ("/var/lib/apt/lists", self.lists)):
            assert real in text, f"dev does not look at {real}"
            text = text.replace(real, str(ours))
        self.dev = self.root / "dev"
        self.dev.write_text(text)
        self.dev.chmod(0o755)
        (self.root / "CMakePresets.json").touch()
        self.stub("dpkg-query", 'shift 3; for p; do [ "$p" = "${MISSING:-}" ] || printf "installed=%s " "$p"; done')
        self.stub("apt-get")
        self.stub("sudo", '"$@"')
        self.stub("cmake")
        self.stub("python3")
        self.stub("df", 'echo Avail; echo " ${FREE_MIB:-90000}"', log=False)
        self.stub("id", 'case $1 in -u) echo 1000 ;; -un) echo anna ;; -nG) echo "anna ${GROUPS_OF_ANNA:-}" ;; esac', log=False)
        self.stub("stat", 'echo "${KVM_STATUS:-crw-rw---- kvm}"', log=False)
        tree = self.root / "build/dev"
        (tree / "bin").mkdir(parents=True)
        (tree / "build.ninja").touch()
        self.script(tree / "bin/chronovisor", 'echo "the desktop: $*"')
        os.utime(self.root / "CMakePresets.json", (1, 1))

    def stub(self, name: str, body: str = "", log: bool = True) -> None:
        note = f'echo "{name} $*" >>{self.log}\n' if log else ""
        self.script(self.bin / name, note + body)

    @staticmethod
    def script(path: pathlib.Path, body: str) -> None:
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def call(self, *words: str, within: pathlib.Path | None = None, **environment: str) -> subprocess.CompletedProcess:
        # What is unreadable is not so for root.
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        for path in (self.root, *self.root.rglob("*")):
            if user and path != self.kvm and not path.is_symlink():
                os.chown(path, NOBODY, NOBODY)
        self.said = subprocess.run([self.dev, *words], env={"PATH": str(self.bin), "DISPLAY": ":0", **environment},
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, cwd=within or self.root,
                                   **user)
        return self.said

    def started(self) -> list[str]:
        return self.log.read_text().splitlines()


class DevTest(unittest.TestCase):
    def setUp(self) -> None:
        self.computer = Computer()
        self.addCleanup(shutil.rmtree, self.computer.root)

    def fails(self, *words: str, **environment: str) -> str:
        said = self.computer.call(*words, **environment)
        self.assertEqual(said.returncode, 1, said.stdout + said.stderr)
        return said.stderr

    def works(self, *words: str, within: pathlib.Path | None = None, **environment: str) -> str:
        said = self.computer.call(*words, within=within, **environment)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        return said.stdout + said.stderr

    # Nothing to do.

    def test_with_all_packages_there_nothing_is_installed_or_configured(self) -> None:
        self.works("build")
        names = [line.split()[0] for line in self.computer.started()]
        self.assertEqual(names, ["dpkg-query", "cmake"])
        self.assertIn("cmake --build build/dev", self.computer.started())

    def test_run_builds_and_opens_the_desktop(self) -> None:
        said = self.works("run", "some.iso")
        self.assertIn("the desktop: some.iso", said)
        self.assertNotIn("▸", said)  # nothing is wrong, so nothing is said
        self.assertFalse([line for line in self.computer.started() if line.startswith(("apt-get", "sudo"))])
        self.assertIn("cmake --build build/dev --target chronovisor chronoctl", self.computer.started())

    def test_what_is_named_is_named_from_where_one_stands(self) -> None:
        self.computer.script(self.computer.root / "build/dev/bin/chronovisor", 'echo "in $PWD: $*"')
        elsewhere = self.computer.root / "elsewhere"
        elsewhere.mkdir()
        self.assertIn(f"in {elsewhere}: some.iso", self.works("run", "some.iso", within=elsewhere))

    # No display.

    def test_without_a_display_that_is_said_before_anything_is_built(self) -> None:
        said = self.fails("run", DISPLAY="")
        self.assertIn("No display: neither DISPLAY nor WAYLAND_DISPLAY is set.", said)
        self.assertIn("xvfb-run ./dev run", said)
        self.assertEqual(self.computer.started(), [])

    def test_any_kind_of_display_will_do(self) -> None:
        for environment in ({"WAYLAND_DISPLAY": "wayland-0"}, {"QT_QPA_PLATFORM": "offscreen"}):
            self.assertIn("the desktop", self.works("run", DISPLAY="", **environment))

    # KVM.

    def explained(self, **environment: str) -> str:
        """What is said of KVM; the desktop opens nevertheless."""
        said = self.works("run", **environment)
        self.assertIn("Machines cannot start until then.", said)
        self.assertIn("the desktop", said)
        return said

    def test_without_virtualisation_in_the_processor(self) -> None:
        self.computer.kvm.unlink()
        self.computer.cpuinfo.write_text("flags : fpu\n")
        self.assertIn("this processor offers no virtualisation, or the firmware (BIOS) setup has it switched off",
                      self.explained())

    def test_without_the_module(self) -> None:
        self.computer.kvm.unlink()
        self.assertIn("sudo modprobe kvm_intel", self.explained())
        self.computer.cpuinfo.write_text("flags : fpu svm\n")
        self.assertIn("sudo modprobe kvm_amd", self.explained())

    def test_without_rights_of_any_group(self) -> None:
        self.computer.kvm.chmod(0)
        for status in ("crw------- root", "crw-rw---- root", "crw-r----- kvm"):
            self.assertIn("sudo chgrp kvm", self.explained(KVM_STATUS=status))

    def test_outside_of_the_group(self) -> None:
        self.computer.kvm.chmod(0)
        self.assertIn("run `sudo usermod -aG kvm anna` and log in again", self.explained())

    def test_in_the_group_since_the_login(self) -> None:
        self.computer.kvm.chmod(0)
        self.assertIn("log in again, for you have come into the group kvm", self.explained(GROUPS_OF_ANNA="kvm"))

    def test_figures_that_need_it_are_announced_as_missing(self) -> None:
        self.computer.kvm.unlink()
        said = self.works("bench")
        self.assertIn("sudo modprobe kvm_intel` or switch virtualisation on", said.replace(",", ""))
        self.assertIn("only the lab's figures can be measured", said)
        self.assertTrue(any(line.startswith("python3 tests/bench/bench.py") for line in self.computer.started()))

    # Packages.

    def test_what_is_missing_is_installed_and_nothing_else(self) -> None:
        self.works("build", MISSING="ninja-build")
        installs = [line for line in self.computer.started() if line.startswith("apt-get")]
        self.assertEqual(len(installs), 1)
        self.assertTrue(installs[0].endswith("install --no-install-recommends ninja-build"), installs)
        self.assertTrue(any(line.startswith("sudo env") for line in self.computer.started()))

    def test_root_needs_no_sudo(self) -> None:
        self.computer.stub("id", "echo 0", log=False)
        self.works("build", MISSING="ninja-build")
        self.assertFalse([line for line in self.computer.started() if line.startswith("sudo")])
        self.assertTrue([line for line in self.computer.started() if line.startswith("apt-get")])

    def test_lists_are_fetched_where_there_are_none(self) -> None:
        (self.computer.lists / "deb_Packages").unlink()
        self.works("build", MISSING="ninja-build")
        steps = [line.split()[-1] for line in self.computer.started() if line.startswith("apt-get")]
        self.assertEqual(steps, ["update", "ninja-build"])

    def test_apt_that_fails_is_tried_again_with_new_lists(self) -> None:
        self.computer.stub("apt-get", '[ "${@: -1}" = update ]')
        said = self.fails("build", MISSING="ninja-build")
        self.assertIn("apt could not install: ninja-build", said)
        steps = [line.split()[-1] for line in self.computer.started() if line.startswith("apt-get")]
        self.assertEqual(steps, ["ninja-build", "update", "ninja-build"])
        self.assertFalse([line for line in self.computer.started() if line.startswith("cmake")])

    def test_without_a_network_that_is_said(self) -> None:
        (self.computer.lists / "deb_Packages").unlink()
        self.computer.stub("apt-get", "exit 100")
        said = self.fails("build", MISSING="ninja-build")
        self.assertIn("apt cannot fetch its lists of packages.", said)
        self.assertIn("is the network up?", said)

    def test_apt_can_be_forbidden(self) -> None:
        self.assertIn("Missing packages: ninja-build",
                      self.fails("build", MISSING="ninja-build", CHRONOVISOR_NO_APT="1"))
        self.assertEqual([line.split()[0] for line in self.computer.started()], ["dpkg-query"])
        self.works("build", CHRONOVISOR_NO_APT="1")  # with all there it is no matter

    def test_without_sudo_the_command_for_root_is_told(self) -> None:
        (self.computer.bin / "sudo").unlink()
        self.assertIn("As root: apt-get install ninja-build", self.fails("build", MISSING="ninja-build"))

    def test_another_system_is_told_what_to_install(self) -> None:
        (self.computer.bin / "dpkg-query").unlink()
        said = self.fails("build")
        self.assertIn("This is not Debian", said)
        self.assertIn("ninja-build", said)
        self.works("build", CHRONOVISOR_NO_APT="1")

    def test_another_debian_is_warned(self) -> None:
        self.computer.release.write_text('VERSION_CODENAME=trixie\nPRETTY_NAME="Debian 13"\n')
        self.assertIn("This is Debian 13, not Debian 12", self.works("build", MISSING="ninja-build"))

    # The build.

    def test_what_cmake_says_is_kept_and_shown(self) -> None:
        (self.computer.root / "build/dev/build.ninja").unlink()
        self.computer.stub("cmake", "echo no compiler; exit 1")
        said = self.fails("build")
        self.assertIn("no compiler", said)
        self.assertIn("all it said is in build/dev/configure.log", said)

    def test_a_failed_build_is_said(self) -> None:
        self.computer.stub("cmake", "exit 1")
        self.assertIn("The build failed; the first error above is the one to read.", self.fails("build"))

    def test_a_full_disk_is_the_reason_that_is_said(self) -> None:
        self.computer.stub("cmake", "exit 1")
        self.assertIn("The disk is full: 3 MiB are left for", self.fails("build", FREE_MIB="3"))
        (self.computer.root / "build/dev/build.ninja").unlink()
        self.assertIn("The disk is full: 3 MiB are left for", self.fails("build", FREE_MIB="3"))

    def test_wrong_use(self) -> None:
        self.assertIn("There is no command explode.", self.fails("explode"))
        self.assertIn("usage: ./dev test", self.fails("test", "everything"))
        self.assertIn("usage: ./dev COMMAND", self.works("help"))


class LabTest(unittest.TestCase):
    def test_a_cache_that_cannot_be_written_is_a_sentence(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            said = subprocess.run([ROOT / "tests/lab/lab", "--", "true"], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=60, env={**os.environ, "CHRONOVISOR_CACHE": f"{file.name}/cache"})
            self.assertEqual(said.returncode, 124)
            self.assertEqual(said.stderr, f"lab: {file.name}/cache: Not a directory\n")

    def said_before_l1_boots(self, terminal: bool) -> str:
        loader = importlib.machinery.SourceFileLoader("lab", str(ROOT / "tests/lab/lab"))
        lab = importlib.util.module_from_spec(importlib.util.spec_from_loader("lab", loader))
        loader.exec_module(lab)
        said = io.StringIO()
        said.isatty = lambda: terminal
        with mock.patch.object(lab.cache, "kernel"), mock.patch.object(lab, "write_settings"), \
                mock.patch.object(lab, "shim", side_effect=lab.cache.LabError), mock.patch("sys.stderr", said), \
                self.assertRaises(lab.cache.LabError):
            lab.start(argparse.Namespace(time=1, command=["true"]), ROOT)
        return said.getvalue()

    def test_who_watches_is_told_that_l1_boots(self) -> None:
        self.assertEqual(self.said_before_l1_boots(terminal=True), "lab: L1 boots, which takes some seconds\n")
        self.assertEqual(self.said_before_l1_boots(terminal=False), "")


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    wrong = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - wrong - len(result.skipped)} passed, {wrong} failed, {len(result.skipped)} skipped")
    sys.exit(wrong > 0)
