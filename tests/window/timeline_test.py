#!/usr/bin/python3
"""A machine's past in a real window: keep moments of the demo machine, look at one, compare two, go back, branch, rename, delete,
undo and fork, and the same of a machine that is suspended or off. Driven as a screen reader and a keyboard would.

    timeline_test.py PROGRAM RESULTS

Needs what desktop_test.py needs, and says CHRONOVISOR-SKIP where that is missing."""

import sys
import time

import desktop_test
from desktop_test import PATIENCE, Desktop
from waiting import wait_until


def main():
    return desktop_test.main(__file__, run)


def moment(desktop, name, seconds=PATIENCE):
    return desktop.await_node("list item", name, seconds)


def await_no_moment(desktop, name):
    wait_until(f"{name} goes", lambda: desktop.find("list item", name) is None, PATIENCE)


def check_memory(desktop, mebibytes):
    desktop.ask("mem check", rf"\b{mebibytes} MiB read, 0 of \d+ words wrong")


def run(desktop: Desktop):
    desktop.start()
    desktop.press("Try the demo machine")
    desktop.await_text(r"Chronovisor demo machine")
    desktop.ask("mem fill 4", r"\b4 MiB filled")
    desktop.press("Keep this moment")
    moment(desktop, "Moment 1, Today.*")
    desktop.ask("mem fill 9", r"\b9 MiB filled")
    desktop.press("Keep this moment")
    moment(desktop, "Moment 2, Today.*")
    desktop.picture("kept")

    # By the keyboard alone: to the first, which the screen then shows, and there.
    desktop.keys("ctrl+shift+t", "Home")
    desktop.await_node("push button", "Go back to here")
    time.sleep(0.5)
    desktop.picture("scrubbed")
    desktop.keys("space", "Right", "space")
    desktop.await_node("label", r".+ of memory, .+ of the disks and \d+ parts? of the machine differ\..*")
    desktop.picture("compared")
    desktop.press("Done")
    desktop.keys("Escape")
    desktop.keys("Home", "Return")
    moment(desktop, "Before going back, Today.*")
    desktop.await_node("push button", "Pause")
    check_memory(desktop, 4)
    print("gone back")

    desktop.press("Keep this moment")
    moment(desktop, "Moment 3, Today.*")
    desktop.keys("ctrl+shift+t", "Left", "r")
    desktop.await_node("text", "Name of the moment")
    desktop.keys("b", "r", "a", "n", "c", "h", "Return")
    moment(desktop, "branch, Today.*")
    desktop.picture("branched")
    desktop.keys("Delete")
    await_no_moment(desktop, "branch, Today.*")
    desktop.press("Undo")
    moment(desktop, "branch, Today.*")
    print("renamed, deleted, brought back")

    # Forth again, to where the other branch had come.
    moment(desktop, "Before going back, Today.*").queryAction().doAction(0)
    desktop.press("Go back to here")
    desktop.await_node("push button", "Pause")
    time.sleep(1)
    check_memory(desktop, 9)

    # Another machine from the first moment, while this one runs on; it is the one that is shown then.
    moment(desktop, "Moment 1, Today.*").queryAction().doAction(0)
    desktop.keys("f")
    desktop.await_node("list item", r"[^(]+ \(Moment 1\), Suspended")
    desktop.picture("forked")
    desktop.press("Restore")
    desktop.await_node("push button", "Pause")
    check_memory(desktop, 4)
    desktop.await_node("list item", r"[^(]+, Running.*")
    print("forked")

    # A machine that is off, and one that is suspended, have moments too.
    desktop.press("Suspend")
    desktop.await_node("push button", "Restore")
    desktop.press("Keep this moment")
    moment(desktop, "Moment 2, Today.*")
    desktop.keys("ctrl+shift+t", "Home", "Return")
    moment(desktop, "Before going back, Today.*")
    desktop.await_node("push button", "Pause")
    check_memory(desktop, 4)
    desktop.keys("ctrl+alt", "ctrl+shift+l", "ctrl+d") # its power button
    desktop.await_node("push button", "Start")
    desktop.press("Keep this moment")
    moment(desktop, "Moment 3, Today.*").queryAction().doAction(0)
    desktop.await_node("push button", "Go back to here")
    desktop.picture("off")
    print("kept while suspended and off")
    desktop.close()


if __name__ == "__main__":
    sys.exit(main())
