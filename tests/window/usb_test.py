#!/usr/bin/python3
"""A USB device of the host in a real window, with the mouse and with the keyboard: found in the panel by its name, with who uses
it; attached after the question about that; detached; asked for once more in the menu, and left on the host. Once it is set to the
machine it comes back by itself when the program is started anew.

    usb_test.py PROGRAM RESULTS HOST CHRONOCTL

HOST is host_with_usb.cpp: umockdev simulates the device for the program. Needs what desktop_test.py needs."""

import os
import pathlib
import re
import subprocess
import sys
import time

from desktop_test import PATIENCE, main
from input_test import middle_of, x
from keyboard_test import focused
from waiting import wait_until

NAME = "Example Loop"
PRELOAD = {"LD_PRELOAD": "libumockdev-preload.so.0"}
USER = rf"\(full: .+ \({os.getpid()}\)\)"  # this program has its port open


class Host:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **PRELOAD})
        self.directory = self.process.stdout.readline().strip()

    def owner(self):
        print(file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def await_owner(self, wanted):
        wait_until(f"the {wanted} has the device", lambda: self.owner() == wanted, PATIENCE)

    def end(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)


def click(node):
    x("mousemove", *middle_of(node), "click", 1)


def expect(desktop, group, more=""):
    """The panel has it there, and says of what the host has who uses it. `more`: what it says of one in the machine."""
    is_attached = group == "In the machine"
    told = rf"480 Mbit/s{more}" if is_attached else rf"480 Mbit/s · in use {USER}"

    def is_told():
        plug = desktop.find("check box", NAME)
        return plug is not None and group_of(plug) == group and re.fullmatch(told, plug.description) \
            and plug.getState().contains(desktop.atspi.STATE_CHECKED) == is_attached

    wait_until(f"“{NAME}” stands under “{group}”", is_told, PATIENCE)
    return desktop.find("check box", NAME)


def group_of(node):
    while node.parent is not None and node.name not in ("In the machine", "On this computer"):
        node = node.parent
    return node.name


def await_question(desktop):
    return desktop.await_node("label", rf"“{NAME}” is to come into the machine\. A program has its port open {USER}, .*")


def windows():
    """With those of menus, which a screen reader finds only while it follows the focus."""
    return len(x("search", "--onlyvisible", "--class", "chronovisor").split())


def attach_with_the_mouse(desktop, host):
    desktop.keys("ctrl+alt", "ctrl+shift+u")  # Ctrl+Alt alone gets out of the machine
    plug = expect(desktop, "On this computer")
    desktop.picture("panel")
    click(plug)
    await_question(desktop)
    desktop.picture("question")
    if host.owner() != "host":
        raise RuntimeError("it was taken before the answer")
    click(desktop.await_node("push button", "Attach anyway"))
    host.await_owner("machine")
    expect(desktop, "In the machine")
    desktop.picture("attached")


def detach_with_the_keyboard(desktop, host):
    desktop.keys("ctrl+alt", "ctrl+shift+u")
    wait_until("the keys lead to the device", lambda: focused(desktop) is not None and focused(desktop).name == NAME, PATIENCE)
    desktop.keys("space")
    host.await_owner("host")
    expect(desktop, "On this computer")


def ask_in_the_menu(desktop, host):
    before = windows()
    click(desktop.await_node("push button", "USB: attach and detach"))
    wait_until("the menu opens", lambda: windows() > before, PATIENCE)
    desktop.picture("menu")
    desktop.keys("Down", "Return")  # its first entry
    await_question(desktop)
    desktop.keys("Escape")
    wait_until("the question goes", lambda: desktop.find("push button", "Attach anyway") is None, PATIENCE)
    if host.owner() != "host":
        raise RuntimeError("it was taken, and nobody has wanted that")


def come_back_with_the_program(desktop, host):
    machine = next(pathlib.Path(os.environ["XDG_DATA_HOME"], "chronovisor/machines").iterdir()).name
    subprocess.run([sys.argv[4], "usb", "rule", "add", "port=1-1", "--attach", machine], check=True)
    for _ in range(2):  # suspended without the device, and with it
        desktop.start(**PRELOAD, UMOCKDEV_DIR=host.directory)
        restore = desktop.await_node("push button", "Restore")
        if host.owner() != "host":
            raise RuntimeError("the machine has it before it is there itself")
        restore.queryAction().doAction(0)
        host.await_owner("machine")
        desktop.await_node("push button", "Pause")
        desktop.keys("ctrl+alt", "ctrl+shift+u")
        expect(desktop, "In the machine", " · always in this machine")
        desktop.close()
        host.await_owner("host")


def run(desktop):
    host = Host(sys.argv[3])
    with open("/dev/full", "wb"):  # the device's port
        desktop.start(**PRELOAD, UMOCKDEV_DIR=host.directory)
        desktop.press("Try the demo machine")
        desktop.await_node("push button", "Pause")
        began = time.monotonic()
        attach_with_the_mouse(desktop, host)
        print("attached")
        detach_with_the_keyboard(desktop, host)
        print("detached")
        ask_in_the_menu(desktop, host)
        print("asked for in the menu")
        print(f"{time.monotonic() - began:.1f} s")
        desktop.keys("ctrl+alt")
        desktop.close()
    come_back_with_the_program(desktop, host)
    print("came back with the program")
    host.end()


if __name__ == "__main__":
    sys.exit(main(__file__, run))
