"""qemu-img's judgement of what a machine has written, for the tests that are programs of their own."""

import pathlib
import subprocess

from waiting import Failure


def is_qcow2(file: pathlib.Path) -> bool:
    """By its first bytes: what stands in a raw disk's place has that one's name."""
    if not file.is_file():
        return False
    with open(file, "rb") as opened:
        return opened.read(4) == b"QFI\xfb"


def check_image(disk: pathlib.Path, may_leak: bool = False) -> None:
    """An image, once its machine has ended. `may_leak`: one that has lost its power may have clusters that nobody uses."""
    only_leaks = 3  # qemu-img(1), "check"
    done = subprocess.run(["qemu-img", "check", "-q", str(disk)], capture_output=True, text=True, check=False)
    if done.returncode != 0 and not (may_leak and done.returncode == only_leaks):
        raise Failure(f"qemu-img check {disk.name}: {done.stdout}{done.stderr}")


def check_images(folder: pathlib.Path, may_leak: bool = False) -> int:
    """All that lie somewhere in a folder; how many they are."""
    images = list(filter(is_qcow2, folder.rglob("*")))
    for image in images:
        check_image(image, may_leak)
    return len(images)
