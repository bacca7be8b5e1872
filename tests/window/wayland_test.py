#!/usr/bin/python3
"""The desktop on Wayland: open the window, start the demo machine with a key, see its picture, and type into it.

    wayland_test.py PROGRAM CHRONOCTL RESULTS

Weston shows its screen in a window of an X server of the test's own, so that its keys can be pressed and its picture be
taken. Needs weston, qt6-wayland, Xvfb, xdotool, ImageMagick, qemu-img and a usable /dev/kvm; without one of them it says
CHRONOVISOR-SKIP. RESULTS gets the pictures."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from x_server import x_server

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import images
from waiting import Failure, wait_until

PATIENCE = 60 * float(os.environ.get("CHRONOVISOR_TEST_PATIENCE", "1"))  # seconds


def missing():
    for program in ("weston", "Xvfb", "xdotool", "import", "qemu-img"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not usable here"
    return None


def await_of(process, what, holds):
    """While it runs."""
    def holds_or_never_will():
        if process.poll() is not None:
            raise Failure(f"{process.args[0]} ended with {process.returncode} while waiting until {what}")
        return holds()

    wait_until(what, holds_or_never_will, PATIENCE, pause=0.2)


def dark_share(picture):
    """How much of it is nearly black: the demo machine's screen, and nothing else in a light window."""
    command = ["convert", picture, "-colorspace", "Gray", "-threshold", "20%", "-negate", "-format", "%[fx:mean]", "info:"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def main():
    program, chronoctl, results = map(os.path.abspath, sys.argv[1:4])
    reason = missing()
    if reason:
        print(f"CHRONOVISOR-SKIP: {reason}")
        return 77
    os.makedirs(results, exist_ok=True)
    home = tempfile.mkdtemp(prefix="wayland-test-")
    os.mkdir(f"{home}/run", 0o700)
    environment = dict(os.environ, HOME=home, XDG_DATA_HOME=f"{home}/data", XDG_CONFIG_HOME=f"{home}/config",
                       XDG_RUNTIME_DIR=f"{home}/run", LANG="C.UTF-8", LANGUAGE="en")
    environment.pop("WAYLAND_DISPLAY", None)
    started = []

    def start(command, **options):
        process = subprocess.Popen(command, **options)
        started.append(process)
        return process

    try:
        with x_server() as environment["DISPLAY"]:
            log = open(f"{results}/weston.txt", "w")
            weston = start(["weston", "--backend=x11-backend.so", "--use-pixman", "--shell=kiosk-shell.so", "--no-config",
                            "--width=1200", "--height=850", "--socket=wayland-test"], env=environment, stdout=log, stderr=log)
            await_of(weston, "Weston listens", lambda: os.path.exists(f"{home}/run/wayland-test"))
            run(program, chronoctl, results, dict(environment, WAYLAND_DISPLAY="wayland-test", QT_QPA_PLATFORM="wayland"),
                start)
        print(f"qemu-img has nothing to say of {images.check_images(pathlib.Path(home))} images")
        print("passed")
        return 0
    except Exception as error:
        print(f"FAILED: {error}")
        return 1
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()
        shutil.rmtree(home, ignore_errors=True)


def run(program, chronoctl, results, environment, start):
    desktop = start([program], env=environment, stderr=open(f"{results}/stderr.txt", "w"))

    def picture(name):
        path = f"{results}/{name}.png"
        subprocess.run(["import", "-window", "root", path], env=environment, check=True, timeout=60)
        return path

    def key(*arguments):
        subprocess.run(["xdotool", *arguments], env=environment, check=True, timeout=60)

    def ctl(*arguments):
        return subprocess.run([chronoctl, *arguments], env=environment, capture_output=True, text=True, timeout=60)

    # Black before there is a window, light when it is there, dark where the machine's screen is.
    await_of(desktop, "the window is there", lambda: dark_share(picture("opened")) < 0.25)
    before = dark_share(picture("opened"))
    key("key", "Return")  # the button for the demo machine has the focus
    await_of(desktop, "the demo machine runs", lambda: "running" in ctl("list").stdout)
    await_of(desktop, "its picture is in the window", lambda: dark_share(picture("running")) > before + 0.15)
    await_of(desktop, "it has booted",
             lambda: ctl("console", "demo", "--wait", "Type .help", "--timeout", "1").returncode == 0)
    time.sleep(1)
    key("type", "--delay", "80", "about")
    key("key", "Return")
    await_of(desktop, "what was typed has reached the guest",
             lambda: ctl("console", "demo", "--wait", "> about", "--timeout", "1").returncode == 0)
    picture("typed")
    ctl("stop", "demo")
    key("key", "ctrl+alt")
    key("key", "ctrl+q")
    desktop.wait(PATIENCE)
    if desktop.returncode != 0:
        raise RuntimeError(f"the program ended with {desktop.returncode}")


if __name__ == "__main__":
    sys.exit(main())
