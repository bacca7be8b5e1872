#!/usr/bin/python3
"""Keyboard and mouse in a real window, as a guest with a PS/2 mouse gets them: a click captures the pointer, its movement arrives as
movement, Ctrl+Alt and another window let it go; and whatever layout the host has, the guest is told which keys were pressed.

    input_test.py PROGRAM RESULTS CHRONOCTL GUEST

GUEST is tests/guests/keyboard.c. Needs what desktop_test.py needs, and setxkbmap."""

import contextlib
import os
import re
import subprocess
import sys
import time

from desktop_test import PATIENCE, main
from waiting import wait_until

# X's numbers of keys are Linux' (linux/input-event-codes.h) and 8; those of the keys that a PC/XT had are scan codes of set 1 too.
XKB_OFFSET, RELEASED = 8, 0x80
LETTERS_AND_SIGNS = [*range(10, 22), *range(24, 36), *range(38, 50), *range(51, 62), 94]
LEFT_CTRL, LEFT_ALT, RIGHT_ALT, BACKSPACE, A, Q, Y = 37, 64, 108, 22, 38, 24, 29
TYPED_BY_Y_AND_Q = {"de": "zq", "fr": "ya"}


def stroke(*keys):
    """The scan codes of keys that are pressed one after the other."""
    return [code for key in keys for code in (key - XKB_OFFSET, key - XKB_OFFSET | RELEASED)]


def x(*arguments):
    return subprocess.run(["xdotool", *map(str, arguments)], check=True, timeout=PATIENCE, capture_output=True, text=True).stdout


def pointer():
    return tuple(int(found) for found in re.findall(r"[xy]:(\d+)", x("getmouselocation")))


def named(desktop, name):
    """Whatever a screen reader takes it for."""
    found = []

    def is_there():
        for node in desktop.nodes():
            with contextlib.suppress(Exception):  # it may vanish while it is looked at
                if node.name == name:
                    found.append(node)
        return found

    wait_until(f"there is “{name}”", is_there, PATIENCE)
    return found[0]


def middle_of(node):
    box = node.queryComponent().getExtents(0)  # of the whole screen
    return box.x + box.width // 2, box.y + box.height // 2


def text_of(node):
    text = node.queryText()
    return text.getText(0, text.characterCount)


class Guest:
    """What it tells of its keyboard and its mouse, each once."""

    def __init__(self, desktop, chronoctl):
        self.path = os.path.join(desktop.results, "serial.txt")
        self.console = subprocess.Popen([chronoctl, "console", "guest"], stdin=subprocess.PIPE, stdout=open(self.path, "wb"))
        self.scan_codes, self.moved, self.buttons, self.notches = [], [0, 0], [], 0
        self.read = 0
        self.await_line(r"^NOTE listening$")

    def hear(self):
        with open(self.path, encoding="utf-8", errors="replace") as file:
            text = file.read().replace("\r", "")
        whole = text[:text.rfind("\n") + 1]
        news, self.read = whole[self.read:], len(whole)
        self.scan_codes += [int(code, 16) for code in re.findall(r"^NOTE scan code (\w\w)$", news, re.MULTILINE)]
        for packet in re.findall(r"^NOTE mouse (\S+) (\S+) wheel (\S+) buttons (\d)$", news, re.MULTILINE):
            right, up, notch, buttons = map(int, packet)
            self.moved = [self.moved[0] + right, self.moved[1] - up]
            self.notches += notch
            if buttons != (self.buttons or [0])[-1]:
                self.buttons.append(buttons)
        return whole

    def await_line(self, pattern):
        wait_until(f"the guest says {pattern}", lambda: re.search(pattern, self.hear(), re.MULTILINE), PATIENCE)

    def expect(self, what, scan_codes=(), moved=(0, 0), buttons=(), notches=0):
        """Since the last time it was told this and nothing else."""
        wanted = [*scan_codes], [*moved], [*buttons], notches
        try:
            wait_until(what, lambda: self.hear() and self.told() == wanted, PATIENCE / 2)
        except AssertionError as error:
            raise RuntimeError(f"{error}\n  wanted {wanted}\n  told   {self.told()}") from None
        self.scan_codes, self.moved, self.buttons, self.notches = [], [0, 0], [], 0

    def told(self):
        return self.scan_codes, self.moved, self.buttons, self.notches

    def end(self):
        self.console.stdin.write(b"x")
        self.console.stdin.flush()
        self.await_line(r"^DONE \d+ 0 \d+$")
        self.console.wait(PATIENCE)


def capture(desktop):
    box = named(desktop, "Screen of guest").queryComponent().getExtents(0)
    corner = box.x + 20, box.y + 20
    x("mousemove", *corner, "click", 1)
    wait_until("the pointer is held in the middle", lambda: pointer() != corner, PATIENCE)


def expect_free(desktop):
    """The pointer is the host's: a click pauses the machine, and another one lets it go on."""
    for button, then in (("Pause", "Resume"), ("Resume", "Pause")):
        x("mousemove", *middle_of(desktop.await_node("push button", button)), "click", 1)
        desktop.await_node("push button", then)


def pointer_is_captured(desktop, guest):
    capture(desktop)
    desktop.picture("captured")
    x("mousemove_relative", 40, 25)
    guest.expect("the click was not the guest's, and a movement is", moved=(40, 25))
    x(*["mousemove_relative", "--", -7, 3, "sleep", 0.001] * 60)  # as a quick mouse does
    guest.expect("many movements are told, and each once", moved=(-420, 180))
    for _ in range(8):  # further than the screen is wide
        x("mousemove_relative", 250, 0)
        guest.expect("the pointer meets no edge", moved=(250, 0))
    x("click", 3, "click", 1)
    guest.expect("its buttons are the guest's", buttons=(2, 0, 1, 0))
    x("click", 5)
    guest.expect("its wheel is the guest's", notches=1)


def keys_go_by_their_place(desktop, guest, layout):
    subprocess.run(["setxkbmap", layout], check=True, timeout=PATIENCE)
    x("key", "--delay", 8, *LETTERS_AND_SIGNS)
    guest.expect(f"the keys of the layout {layout} by their place", stroke(*LETTERS_AND_SIGNS))
    x("keydown", RIGHT_ALT, "key", Q, "keyup", RIGHT_ALT)
    guest.expect(f"AltGr of the layout {layout}", [0xe0, 0x38, *stroke(Q), 0xe0, 0x38 | RELEASED])


def keys_let_go(desktop, guest, layout):
    x("keydown", LEFT_CTRL, "keydown", LEFT_ALT, "keyup", LEFT_ALT, "keyup", LEFT_CTRL)
    guest.expect("Ctrl+Alt is told, too", [0x1d, 0x38, 0x38 | RELEASED, 0x1d | RELEASED])
    expect_free(desktop)
    # The layout is there: in a field of the window the same keys type its letters.
    field = named(desktop, "Filter the machines")
    field.queryComponent().grabFocus()
    wait_until("the field has the focus", lambda: field.getState().contains(desktop.atspi.STATE_FOCUSED), PATIENCE)
    x("key", Y, Q)
    wait_until(f"it has the letters of the layout {layout}", lambda: text_of(field) == TYPED_BY_Y_AND_Q[layout], PATIENCE)
    x("key", BACKSPACE, BACKSPACE)
    wait_until("the field is empty", lambda: not text_of(field), PATIENCE)
    guest.expect("what is done then is the host's")


def another_window_lets_go(desktop, guest):
    x("keydown", A)
    guest.expect("a key that stays down", [A - XKB_OFFSET])
    other = subprocess.Popen(["display", "-title", "another", "-size", "200x100", "xc:gray"])
    try:
        guest.expect("the other window's focus lets go of the key", [A - XKB_OFFSET | RELEASED])
        desktop.picture("another-window")
        x("keyup", A)  # before this window has the focus again, to which X would repeat it
    finally:
        other.terminate()
        other.wait()
    expect_free(desktop)
    guest.expect("what is done then is the host's")


def run(desktop):
    chronoctl, kernel = map(os.path.abspath, sys.argv[3:5])
    subprocess.run([chronoctl, "create", "guest", "--kernel", kernel, "--append", "listen=1", "--no-tablet", "--net", "none"],
                   check=True, timeout=PATIENCE)
    desktop.start()
    desktop.press("Start")
    desktop.await_node("push button", "Pause")
    guest = Guest(desktop, chronoctl)
    began = time.monotonic()
    pointer_is_captured(desktop, guest)
    print("captured")
    for layout in ("de", "fr"):
        keys_go_by_their_place(desktop, guest, layout)
        keys_let_go(desktop, guest, layout)
        print("keys of the layout", layout)
        capture(desktop)
        x("mousemove_relative", 5, 5)
        guest.expect("captured again", moved=(5, 5))
    subprocess.run(["setxkbmap", "us"], check=True, timeout=PATIENCE)
    another_window_lets_go(desktop, guest)
    print("let go by another window")
    print(f"{time.monotonic() - began:.1f} s")
    guest.end()
    desktop.await_node("push button", "Start")
    desktop.close()


if __name__ == "__main__":
    sys.exit(main(__file__, run))
