#!/usr/bin/python3
"""The desktop with a keyboard alone: make the demo machine, send it a key combination from the menu, full screen and back,
settings, preferences, suspend, close; then into the background, from where a second start brings the window back. The screen
reader's tree is only looked at.

    keyboard_test.py PROGRAM RESULTS

Needs what desktop_test.py needs."""

import os
import subprocess
import sys
import time

from desktop_test import PATIENCE, main
from waiting import wait_until


def focused(desktop):
    for node in desktop.nodes():
        try:
            if node.getState().contains(desktop.atspi.STATE_FOCUSED) and node.name:
                return node
        except Exception:
            continue  # it may vanish while it is looked at
    return None


def tab_to(desktop, name):
    """As a person does who sees where the focus is."""
    seen = []
    for _ in range(60):
        node = focused(desktop)
        if node is not None and node.name == name:
            return
        seen.append(node.name if node is not None else "?")
        desktop.keys("Tab")
    raise RuntimeError(f"the Tab key does not lead to “{name}”, but to {seen}")


def await_title(desktop, title):
    desktop.await_node("label", title)


def run(desktop):
    desktop.start()
    desktop.await_node("push button", "Try the demo machine")
    desktop.keys("ctrl+n")
    await_title(desktop, "New machine")
    tab_to(desktop, "The demo machine")
    desktop.keys("space")
    desktop.await_node("push button", "Create and start")
    desktop.keys("Return")
    desktop.await_node("push button", "Pause")
    desktop.await_text(r"Chronovisor demo machine")
    print("made and started")

    # Ctrl+Alt alone gets out of the machine, to its tools.
    desktop.keys("ctrl+alt")
    tab_to(desktop, "Send key combinations and text")
    # The second entry, Ctrl+Alt+Del. Afterwards the keys are the machine's again, which says on its serial port too what it
    # was told with its keyboard.
    desktop.keys("space", "Down", "Down", "Return")
    time.sleep(1)
    desktop.keys("c", "o", "u", "n", "t", "Return")
    desktop.await_text(r"Boot \d+, \d+ seconds")
    if desktop.find("label", "There is no text in the clipboard.*") is not None:
        raise RuntimeError("that was the first entry of the menu")
    print("sent a key combination")

    desktop.keys("ctrl+alt", "ctrl+shift+l", "F11")
    wait_until("F11 fills the screen", lambda: desktop.find("push button", "New machine…") is None, PATIENCE)
    desktop.picture("full-screen")
    desktop.keys("ctrl+alt+Return")
    desktop.await_node("push button", "New machine…")
    print("full screen and back")

    desktop.keys("ctrl+alt", "ctrl+shift+l", "ctrl+e")
    await_title(desktop, "Settings of demo")
    desktop.keys("Escape")
    desktop.await_node("push button", "Pause")
    desktop.keys("ctrl+comma")
    await_title(desktop, "Preferences")
    desktop.keys("Escape")
    desktop.await_node("push button", "Pause")
    print("settings and preferences")

    desktop.keys("ctrl+shift+l", "ctrl+s")
    desktop.await_node("push button", "Restore")
    desktop.close()
    print("suspended and closed")
    into_the_background_and_back(desktop)


def into_the_background_and_back(desktop):
    """There is no tray here, and so it is asked about."""
    folder = os.path.join(os.environ["XDG_CONFIG_HOME"], "chronovisor")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "chronovisor.ini"), "a") as preferences:
        preferences.write("\n[machines]\nonClose=keepRunning\n")
    desktop.start()
    desktop.await_node("push button", "Restore")
    desktop.keys("ctrl+shift+l", "ctrl+r")
    desktop.await_node("push button", "Pause")
    desktop.keys("ctrl+alt", "ctrl+shift+l", "ctrl+q")
    desktop.await_node("push button", "Keep running")
    desktop.keys("alt+k")
    wait_until("the window hides", lambda: desktop.find("push button", "Pause") is None, PATIENCE)
    if desktop.process.poll() is not None:
        raise RuntimeError("the program has ended with the machine that was to run on")
    second = subprocess.run([desktop.program], stderr=desktop.log, timeout=PATIENCE)
    if second.returncode != 0:
        raise RuntimeError(f"the second start ended with {second.returncode}")
    desktop.await_node("push button", "Pause")
    print("into the background and back")
    desktop.keys("ctrl+shift+l", "ctrl+s")
    desktop.await_node("push button", "Restore")
    desktop.close()


if __name__ == "__main__":
    sys.exit(main(__file__, run))
