#!/usr/bin/python3
"""The desktop on Wayland: open the window, start the demo machine with a key, see its picture, and type into it.

    wayland_test.py PROGRAM CHRONOCTL RESULTS

Weston shows its screen in a window of an X server of the test's own, so that its keys can be pressed and its picture be
taken. Needs weston, qt6-wayland, Xvfb, xdotool, ImageMagick and a usable /dev/kvm; without one of them it says
CHRONOVISOR-SKIP. RESULTS gets the pictures."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

PATIENCE = 60 * float(os.environ.get("CHRONOVISOR_TEST_PATIENCE", "1"))  # seconds


def missing():
    for program in ("weston", "Xvfb", "xdotool", "import"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not usable here"
    return None


def wait_until(is_so, what, *processes):
    end = time.monotonic() + PATIENCE
    while not is_so():
        for process in processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode} while waiting until {what}")
        if time.monotonic() > end:
            raise RuntimeError(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(0.2)


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
        read, write = os.pipe()
        start(["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp"], pass_fds=[write],
              stderr=subprocess.DEVNULL)
        os.close(write)
        environment["DISPLAY"] = ":" + os.fdopen(read).readline().strip()
        log = open(f"{results}/weston.txt", "w")
        weston = start(["weston", "--backend=x11-backend.so", "--use-pixman", "--shell=kiosk-shell.so", "--no-config",
                        "--width=1200", "--height=850", "--socket=wayland-test"], env=environment, stdout=log, stderr=log)
        wait_until(lambda: os.path.exists(f"{home}/run/wayland-test"), "Weston listens", weston)
        run(program, chronoctl, results, dict(environment, WAYLAND_DISPLAY="wayland-test", QT_QPA_PLATFORM="wayland"),
            start)
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
    wait_until(lambda: dark_share(picture("opened")) < 0.25, "the window is there", desktop)
    before = dark_share(picture("opened"))
    key("key", "Return")  # the button for the demo machine has the focus
    wait_until(lambda: "running" in ctl("list").stdout, "the demo machine runs", desktop)
    wait_until(lambda: dark_share(picture("running")) > before + 0.15, "its picture is in the window", desktop)
    wait_until(lambda: ctl("console", "demo", "--wait", "Type .help", "--timeout", "1").returncode == 0, "it has booted",
               desktop)
    time.sleep(1)
    key("type", "--delay", "80", "about")
    key("key", "Return")
    wait_until(lambda: ctl("console", "demo", "--wait", "> about", "--timeout", "1").returncode == 0,
               "what was typed has reached the guest", desktop)
    picture("typed")
    ctl("stop", "demo")
    key("key", "ctrl+alt")
    key("key", "ctrl+q")
    desktop.wait(PATIENCE)
    if desktop.returncode != 0:
        raise RuntimeError(f"the program ended with {desktop.returncode}")


if __name__ == "__main__":
    sys.exit(main())
