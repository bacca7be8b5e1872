"""What the lab's tests are written with: @lab_test, and a Lab that hands out machines, disks and pictures."""

import dataclasses
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import typing

from disks import make_ext4
from machines import ChronovisorMachine, Failure, LibraryMachine, Machine
import images  # of tests/support, where machines looks too
from web_server import NameServer, WebServer

# Of what tests do at random: the same seed, the same moments.
SEED = os.environ.get("LAB_SEED") or str(random.SystemRandom().randrange(1 << 32))
SAMPLE = 5  # of so many pixels one is looked at: L1 is slow
FIRMWARE = pathlib.Path("/usr/share/OVMF")


class Skip(Exception):
    """Why a test cannot run here."""


def not_downloaded(reason: str) -> Exception:
    """To raise where the network is at fault: CI that is green has had all guests."""
    return Failure(reason) if os.environ.get("CI") else Skip(reason)


@dataclasses.dataclass
class LabTest:
    name: str
    function: typing.Callable
    seconds: int
    needs: tuple[str, ...]
    steady: bool
    usb: bool


all_tests: list[LabTest] = []


def lab_test(seconds: int, needs: tuple[str, ...] = ("linux",), steady: bool = False, usb: bool = False):
    """`steady`: in an L1 of its own, which is never late (lab --steady). `usb`: with what the peer is driven without."""
    def register(function):
        all_tests.append(LabTest(function.__name__, function, seconds, needs, steady, usb))
        return function

    return register


def check_equal(what: str, actual, expected) -> None:
    if actual != expected:
        raise Failure(f"{what}: {actual!r} instead of {expected!r}")


class Lab:
    def __init__(self, kind: type[Machine]) -> None:
        self.kind = kind
        self.random = random.Random()
        self.web = WebServer()
        self.names: NameServer | None = None
        self.machines: list[Machine] = []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="lab-"))

    def begin(self, test: LabTest) -> None:
        """What could not be downloaded is a fault in CI only; all else that is missing is one."""
        if self.kind is ChronovisorMachine and not os.access(ChronovisorMachine.program, os.X_OK):
            raise Failure("there is no chronoctl in this build")
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            raise Failure("there is no /dev/kvm")
        if test.usb and self.kind is not ChronovisorMachine:
            raise Skip("the peer is driven without USB")
        for guest in test.needs:
            if f"LAB_BROKEN_{guest.upper()}" in os.environ:
                raise Failure(f"the guest {guest} could not be made; before L1 began it was told why")
            if f"LAB_GUEST_{guest.upper()}" not in os.environ:
                raise not_downloaded(f"the guest {guest} could not be downloaded")
        self.random = random.Random(f"{SEED} {test.name}")  # whatever ran before it

    def check_images(self) -> None:
        """At the end of a test: qemu-img's judgement of each image that it wrote. One whose machine is still on then, and
        loses its power, may have clusters that nobody uses."""
        loses_power = any(machine.process and machine.process.poll() is None for machine in self.machines)
        for machine in self.machines:
            machine.end()
        for folder in {self.directory, *(machine.directory for machine in self.machines)}:  # a fork is in its original's
            images.check_images(folder, may_leak=loses_power)

    def clean_up(self) -> None:
        for machine in self.machines:
            machine.close()
        self.machines.clear()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()

    def serve_names(self) -> None:
        """L1 asks our name server from now on."""
        if self.names:
            return
        if not pathlib.Path("/run/lab").exists():
            raise Skip("this is not L1, whose names are nobody else's")
        self.names = NameServer()
        resolver = pathlib.Path("/etc/resolv.conf")
        resolver.unlink(missing_ok=True)
        resolver.write_text("nameserver 127.0.0.1\n", encoding="ascii")

    def guest(self, name: str) -> pathlib.Path:
        return pathlib.Path(os.environ[f"LAB_GUEST_{name.upper()}"])

    def machine(self, *, with_past: bool = False, user: int | None = None, **configuration) -> Machine:
        """`with_past`: one of which moments can be kept. `user`: whose it is."""
        if with_past and self.kind is not ChronovisorMachine:
            raise Skip(f"{self.kind.name} has no timeline")
        machine = (LibraryMachine if with_past else self.kind)(**configuration)
        self.machines.append(machine)
        if user is not None:
            machine.belong_to(user)
        machine.start()
        return machine

    def linux(self, words: str = "", guest_name: str = "linux", **configuration) -> Machine:
        """The small Linux guest (or "hardware") at its shell."""
        guest = self.guest(guest_name)
        kernel = os.environ["LAB_VMLINUX"] if guest_name == "hardware" else str(guest / "vmlinuz")
        machine = self.machine(kernel={"kernel": kernel, "initrd": str(guest / "initrd.gz"),
                                       "commandLine": f"console=ttyS0 quiet panic=-1 {words}"}, **configuration)
        machine.console.expect("GUEST-READY", 120)
        return machine

    def ext4_disk(self, mebibytes: int, content: dict[str, bytes] | None = None) -> pathlib.Path:
        """A raw disk with an ext4 file system that holds these files."""
        disk = self.directory / f"disk{len(list(self.directory.glob('disk*')))}.raw"
        make_ext4(disk, mebibytes, content or {})
        return disk

    def program(self, name: str) -> pathlib.Path:
        """One of this folder's in C, which needs no libraries: for L1, and for guests."""
        return pathlib.Path(os.environ["LAB_PROGRAMS"]) / name

    def iso(self, content: dict[str, bytes]) -> pathlib.Path:
        """An image of a CD with these files."""
        tree = self.directory / "tree"
        tree.mkdir()
        for name, data in content.items():
            (tree / name).write_bytes(data)
        image = self.directory / f"cd{len(list(self.directory.glob('cd*')))}.iso"
        subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-r", "-o", str(image), str(tree)], check=True,
                       stderr=subprocess.DEVNULL)
        shutil.rmtree(tree)
        return image

    def overlay(self, backing: pathlib.Path) -> pathlib.Path:
        """A qcow2 disk that keeps what is written, above an image that stays as it is."""
        disk = self.directory / f"disk{len(list(self.directory.glob('disk*')))}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(backing), str(disk)],
                       check=True)
        return disk

    def firmware_variables(self) -> pathlib.Path:
        file = self.directory / "variables.fd"
        shutil.copy(FIRMWARE / "OVMF_VARS_4M.fd", file)
        return file

    def settle(self, machine: Machine, disk: pathlib.Path) -> None:
        """Ends the small guest in order and lets e2fsck judge the file system that it had at /mnt."""
        machine.run("umount /mnt")
        machine.console.send("poweroff -f\n")
        machine.wait_for_end(30)
        self.check_ext4(disk)

    def check_ext4(self, disk: pathlib.Path) -> None:
        """e2fsck's judgement of the file system on a raw disk."""
        checked = subprocess.run(["e2fsck", "-fn", str(disk)], capture_output=True, text=True, check=False)
        if checked.returncode != 0:
            raise Failure(f"e2fsck finds errors: {checked.stdout}")


def grub_iso(directory: pathlib.Path, platform: str, modules: str = "") -> pathlib.Path:
    """A CD with GRUB for i386-pc or x86_64-efi that stops at its prompt, and with told.txt. No more modules than asked
    for: the medium may be read through an emulated drive."""
    tree = directory / "tree"
    (tree / "boot" / "grub").mkdir(parents=True)
    # OVMF's console is the screen and the serial port.
    terminals = "console" if platform.endswith("efi") else "console serial"
    (tree / "boot" / "grub" / "grub.cfg").write_text(
        f"serial --unit=0 --speed=115200\nterminal_input {terminals}\nterminal_output {terminals}\nset timeout=-1\n",
        encoding="ascii")
    (tree / "told.txt").write_text("what the medium says\n", encoding="ascii")
    subprocess.run(["grub-mkrescue", "-d", f"/usr/lib/grub/{platform}", "--fonts=", "--themes=", "--locales=",
                    f"--install-modules=normal serial terminal cat ls iso9660 {modules}", "-o", directory / "grub.iso",
                    tree], check=True, capture_output=True)
    shutil.rmtree(tree)
    return directory / "grub.iso"


@dataclasses.dataclass
class Picture:
    width: int
    height: int
    pixels: bytes  # RGB

    @classmethod
    def from_ppm(cls, data: bytes) -> "Picture":
        magic, width, height, _, pixels = data.split(maxsplit=4)
        # split() would also eat pixels that look like spaces: count from the end instead.
        size = int(width) * int(height) * 3
        check_equal("picture's kind", magic, b"P6")
        return cls(int(width), int(height), data[-size:] if pixels else b"")

    def share_that_differs(self, other: "Picture") -> float:
        if (self.width, self.height) != (other.width, other.height):
            return 1.0
        pixels = self.width * self.height
        if self.pixels == other.pixels:
            return 0.0
        differing = sum(self.pixels[i:i + 3] != other.pixels[i:i + 3] for i in range(0, pixels * 3, 3 * SAMPLE))
        return differing * SAMPLE / pixels

    def share_of(self, colours: set[bytes]) -> float:
        found = sum(self.pixels[i:i + 3] in colours for i in range(0, len(self.pixels), 3 * SAMPLE))
        return found * SAMPLE / (self.width * self.height)
