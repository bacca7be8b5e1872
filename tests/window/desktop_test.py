#!/usr/bin/python3
"""The desktop in a real window: create the demo machine, run it, type on its serial console, suspend it, close the program,
open it again, restore, and find the machine as it was. Driven as a screen reader and a keyboard would.

    desktop_test.py PROGRAM RESULTS

Needs Xvfb, openbox, xdotool, ImageMagick, qemu-img, dbus-run-session and pyatspi, and a usable /dev/kvm; without KVM it says
CHRONOVISOR-SKIP. RESULTS gets the screenshots. Prints the longest stall of the GUI thread."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

from x_server import x_server

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import images
from waiting import wait_until

PATIENCE = 60 * float(os.environ.get("CHRONOVISOR_TEST_PATIENCE", "1"))  # seconds


def main(script, run):
    """Runs `run` with a Desktop; `script` is the test that is asked for, to be started again in its own session."""
    program, results = map(os.path.abspath, sys.argv[1:3])
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("CHRONOVISOR-SKIP: /dev/kvm is not usable here")
        return 77
    if os.environ.get("CHRONOVISOR_TEST_SESSION") != "1":
        return in_session_of_its_own(script, program, results)
    os.makedirs(results, exist_ok=True)
    desktop = Desktop(program, results)
    try:
        run(desktop)
        desktop.picture("end")
        judge_images(desktop)
        print("passed")
        return 0
    except Exception as error:  # whatever it was, what the window showed is worth more than the trace
        desktop.picture("failed")
        desktop.describe()
        print(f"FAILED: {error}")
        return 1
    finally:
        desktop.end()


def judge_images(desktop):
    """qemu-img's judgement of the disks. What is still on loses its power, and may leave clusters that nobody uses."""
    runs = desktop.process is not None and desktop.process.poll() is None
    desktop.end()
    count = images.check_images(pathlib.Path(os.environ["XDG_DATA_HOME"]), may_leak=runs)
    print(f"qemu-img has nothing to say of {count} images")


def in_session_of_its_own(script, program, results):
    """An X server, a window manager and a message bus that nobody else uses."""
    with x_server() as display, tempfile.TemporaryDirectory(prefix="desktop-test-", ignore_cleanup_errors=True) as home:
        os.mkdir(f"{home}/run", 0o700)
        environment = dict(os.environ, DISPLAY=display, HOME=home, XDG_DATA_HOME=f"{home}/data",
                           XDG_CONFIG_HOME=f"{home}/config", XDG_RUNTIME_DIR=f"{home}/run", QT_QPA_PLATFORM="xcb",
                           QT_LINUX_ACCESSIBILITY_ALWAYS_ON="1", CHRONOVISOR_STALLS="1", CHRONOVISOR_TEST_SESSION="1",
                           LANG="C.UTF-8", LANGUAGE="en")
        manager = subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL)
        try:
            return subprocess.run(["dbus-run-session", "--", sys.executable, os.path.abspath(script), program, results,
                                   *sys.argv[3:]], env=environment, timeout=900).returncode
        finally:
            manager.terminate()
            manager.wait(10)


class Desktop:
    def __init__(self, program, results):
        import pyatspi
        self.atspi = pyatspi
        self.program, self.results = program, results
        self.process = None
        self.log = open(os.path.join(results, "stderr.txt"), "a+")

    def start(self, **environment):
        self.process = subprocess.Popen([self.program], stderr=self.log, env={**os.environ, **environment})

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def picture(self, name):
        subprocess.run(["import", "-window", "root", os.path.join(self.results, f"{name}.png")], timeout=30)

    def nodes(self):
        """Everything that a screen reader finds in the program now."""
        found = []
        for application in self.atspi.Registry.getDesktop(0):
            try:
                if application is not None and application.get_process_id() == self.process.pid:
                    found += self.below(application, 0)
            except Exception:
                continue  # it may vanish while it is looked at
        return found

    def below(self, node, depth):
        found = [node]
        if depth < 25:
            for index in range(min(node.childCount, 200)):
                try:
                    child = node.getChildAtIndex(index)
                    if child is not None:
                        found += self.below(child, depth + 1)
                except Exception:
                    continue
        return found

    def find(self, role, name):
        for node in self.nodes():
            try:
                states = node.getState()
                if node.getRoleName() == role and re.fullmatch(name, node.name) \
                        and states.contains(self.atspi.STATE_SHOWING) and states.contains(self.atspi.STATE_ENABLED):
                    return node
            except Exception:
                continue
        return None

    def await_node(self, role, name, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the program ended with {self.process.returncode} while waiting for {name}")
            node = self.find(role, name)
            if node is not None:
                return node
            time.sleep(0.3)
        raise RuntimeError(f"no {role} “{name}” within {seconds:.0f} s")

    def press(self, name):
        self.await_node("push button", name).queryAction().doAction(0)

    def terminal_text(self):
        text = self.await_node("terminal", "Serial 1").queryText()
        return text.getText(0, text.characterCount)

    def await_text(self, wanted, below=None, seconds=PATIENCE):
        """What matches, below the last line that says `below`."""
        end = time.monotonic() + seconds
        text = ""
        while time.monotonic() < end:
            text = self.terminal_text()
            found = re.search(wanted, text.rpartition(below)[2] if below else text)
            if found:
                return found
            time.sleep(0.3)
        raise RuntimeError(f"the serial console does not say “{wanted}”; it says:\n{text}")

    def ask(self, question, answer):
        """What the demo machine answers to it now: the terminal shows its past, too, where the same was asked."""
        self.await_node("terminal", "Serial 1").queryComponent().grabFocus()
        time.sleep(0.3)
        subprocess.run(["xdotool", "type", "--delay", "60", question], check=True, timeout=60)
        self.await_text(rf"{question}\s*$")  # alone, where the machine has gone to a moment: its prompt was before that
        self.keys("Return")
        return self.await_text(answer, below=question)

    def keys(self, *keys):
        for key in keys:
            subprocess.run(["xdotool", "key", key], check=True, timeout=60)
            time.sleep(0.3)

    def close(self, seconds=PATIENCE):
        self.keys("ctrl+shift+l", "ctrl+q")
        try:
            if self.process.wait(seconds) != 0:
                raise RuntimeError(f"the program ended with {self.process.returncode}")
        except subprocess.TimeoutExpired:
            raise RuntimeError("the program did not end") from None

    def describe(self):
        for node in self.nodes():
            try:
                if node.getState().contains(self.atspi.STATE_SHOWING) and node.name:
                    print(f"  {node.getRoleName()}: {node.name}")
            except Exception:
                continue

    def stalls(self):
        """What the program says at its end."""
        self.log.seek(0)
        return re.findall(r"longest stall .*", self.log.read())


def boots(desktop):
    return int(desktop.ask("count", r"Boot (\d+), \d+ seconds in all")[1])


def run(desktop):
    desktop.start()
    desktop.press("Try the demo machine")
    desktop.await_node("push button", "Pause")
    desktop.await_text(r"Chronovisor demo machine")
    desktop.picture("running")
    desktop.ask("mem fill 4", r"\b4 MiB filled")
    boot = boots(desktop)
    desktop.press("Suspend")
    desktop.await_node("push button", "Restore")
    desktop.picture("suspended")
    desktop.close()
    print("suspended and closed")

    desktop.start()
    desktop.press("Restore")
    desktop.await_node("push button", "Pause")
    desktop.ask("mem check", r"\b4 MiB read, 0 of \d+ words wrong")
    if boots(desktop) != boot:
        raise RuntimeError("the machine has started anew where it should have gone on")
    desktop.picture("restored")
    print("restored")

    # Closing while it runs suspends it.
    desktop.close()
    measure(desktop)


def measure(desktop):
    """Once more by the keyboard alone and without a screen reader, whose questions are work for the GUI thread too."""
    disk = next(pathlib.Path(os.environ["XDG_DATA_HOME"]).glob("chronovisor/machines/*/disk0.qcow2"))
    state = disk.parent / "state" / "state.json"

    def is_on():
        """Its processors are threads of the program."""
        for name in pathlib.Path(f"/proc/{desktop.process.pid}/task").glob("*/comm"):
            with contextlib.suppress(OSError):  # a thread may have ended
                if name.read_text() == "vcpu 0\n":
                    return True
        return False

    def press_until(what, holds, *keys):
        """Again where the window was not ready for them."""
        end = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > end:
                raise RuntimeError(f"not within {PATIENCE:.0f} s: {what}")
            desktop.keys(*keys)
            pressed = time.monotonic()
            while not holds() and time.monotonic() < pressed + 5:
                time.sleep(0.1)

    if not state.exists():
        raise RuntimeError("closing the program has left no state file")
    desktop.log.truncate(0)
    environment = {name: value for name, value in os.environ.items() if name != "QT_LINUX_ACCESSIBILITY_ALWAYS_ON"}
    desktop.process = subprocess.Popen([desktop.program], stderr=desktop.log, env=environment)
    press_until("it is restored", is_on, "ctrl+shift+l", "ctrl+r")
    wait_until("what it was restored from is gone", lambda: not state.exists(), PATIENCE)
    press_until("its power button switches it off", lambda: not is_on(), "ctrl+alt", "ctrl+shift+l", "ctrl+d")
    press_until("it starts from the beginning", is_on, "ctrl+shift+l", "ctrl+r")
    started = time.time()
    wait_until("it has booted and counts on its disk", lambda: disk.stat().st_mtime > started, PATIENCE)
    press_until("it is suspended", lambda: state.exists() and not is_on(), "ctrl+alt", "ctrl+shift+l", "ctrl+s")
    desktop.close()
    print("GUI thread:", *desktop.stalls())


if __name__ == "__main__":
    sys.exit(main(__file__, run))
