"""The machines under test: one interface, with Chronovisor behind it, or QEMU to check the guests and the tests."""

import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import waiting
from waiting import Failure

# Time limits are for an idle machine of two cores; a busier or slower one sets LAB_PATIENCE=3, or so.
PATIENCE = float(os.environ.get("LAB_PATIENCE", "1"))


def wait_until(what: str, holds, seconds: float = 60) -> None:
    waiting.wait_until(what, holds, seconds * PATIENCE)


class Console:
    """A byte stream to and from the guest's first serial port."""

    def __init__(self, read, write) -> None:
        self._write = write
        self._text = ""
        self._from = 0  # what expect() has not consumed yet
        self._changed = threading.Condition()
        self._ended = False
        threading.Thread(target=self._collect, args=(read,), daemon=True).start()

    def _collect(self, read) -> None:
        while True:
            try:
                data = read(65536)
            except OSError:
                data = b""
            with self._changed:
                if data:
                    self._text += data.decode("utf-8", "replace").replace("\r", "")
                self._ended = not data
                self._changed.notify_all()
            if not data:
                return

    def send(self, text: str) -> None:
        # In pieces that any UART's buffer takes at once.
        for first in range(0, len(text), 64):
            self._write(text[first:first + 64].encode())

    def expect(self, pattern: str, seconds: float) -> re.Match:
        """Waits until the guest has printed what matches; what lies before it is passed over."""
        end = time.monotonic() + seconds * PATIENCE
        with self._changed:
            while True:
                found = re.compile(pattern).search(self._text, self._from)
                if found:
                    self._from = found.end()
                    return found
                left = end - time.monotonic()
                if left <= 0 or self._ended:
                    why = "the console ended" if self._ended else f"{seconds:.0f} s passed"
                    raise Failure(f"no {pattern!r} on the console: {why}")
                self._changed.wait(left)

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self._text.splitlines()[-lines:])


class Machine:
    """A machine made from a configuration in Chronovisor's JSON, in a directory of its own."""

    name = "?"

    def __init__(self, **configuration) -> None:
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="machine-"))
        # What describe() of vmm/config/vm_config.h lists; ids are given here for all devices that have none.
        self.state = {"uuid": str(uuid.uuid4()), "name": "lab", "cpus": 2, "memoryMiB": 512, **configuration}
        self.state.setdefault("serials", [{}])
        for kind, prefix in (("disks", "disk"), ("cds", "cd"), ("networks", "net"), ("serials", "serial"),
                             ("displays", "display"), ("usbControllers", "usb"), ("usbDevices", "usb-device")):
            for number, device in enumerate(self.state.get(kind, [])):
                device.setdefault("id", f"{prefix}{number}")
        for controller in self.state.get("usbControllers", []):
            controller.setdefault("connectors", 15)  # as those of new machines have
        for network in self.state.get("networks", []):
            network.setdefault("mac", "52:54:00:%02x:%02x:%02x" % tuple(random.randbytes(3)))
        if self.state.get("kernel"):
            self.state["firmware"] = "none"
        self.process: subprocess.Popen | None = None
        self.console: Console | None = None
        self._commands = 0

    def end(self) -> None:
        """Pulls the plug."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """Pulls the plug and removes what the machine left."""
        self.end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def wait_for_end(self, seconds: float) -> int:
        try:
            return self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure(f"the machine's process did not end within {seconds:.0f} s") from None

    def run(self, command: str, seconds: float = 60) -> str:
        """Runs a command in the guest's shell; its output, if it succeeds."""
        status, output = self.try_run(command, seconds)
        if status != 0:
            raise Failure(f"{command!r} ended with {status} in the guest: {output}")
        return output

    def try_run(self, command: str, seconds: float = 60) -> tuple[int, str]:
        self._commands += 1
        number = self._commands
        end = "" if command.rstrip().endswith("&") else ";"
        self.console.send(f'echo "<"{number}">"; {{ {command}{end} }}; echo "</"{number}":$?>"\n')  # one line
        self.console.expect(f"<{number}>\n", seconds)
        found = self.console.expect(rf"((?:.|\n)*?)</{number}:(\d+)>\n", seconds)
        return int(found[2]), found[1].strip()

    def errors(self) -> str:
        file = self.directory / "errors"
        return file.read_text(encoding="utf-8", errors="replace")[-2000:] if file.exists() else ""


class QemuMachine(Machine):
    """The peer. Its suspended state is a migration stream in a file."""

    name = "QEMU"

    def start(self, *, incoming: bool = False) -> None:
        state = self.state
        for leftover in ("serial", "control"):
            (self.directory / leftover).unlink(missing_ok=True)
        model = "Nehalem" if state.get("cpuModel") == "baseline" else "host"  # of x86-64-v2, as our baseline is
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35,usb=off", "-accel", "kvm",
                   "-cpu", model + (",-x2apic" if os.environ.get("LAB_NO_X2APIC") else ""),
                   "-display", "none", "-vga", "std", "-m", str(state["memoryMiB"]), "-smp", str(state["cpus"]),
                   "-device", "virtio-rng-pci",
                   "-chardev", f"socket,id=serial,path={self.directory}/serial,server=on,wait=on", "-serial",
                   "chardev:serial", "-qmp", f"unix:{self.directory}/control,server=on,wait=off"]
        if kernel := state.get("kernel"):
            command += ["-kernel", kernel["kernel"], "-append", kernel["commandLine"]]
            if kernel["initrd"]:
                command += ["-initrd", kernel["initrd"]]
        if state.get("firmware") == "ovmf":
            command += ["-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
                        "-drive", f"if=pflash,format=raw,file={state['firmwareVariables']}"]
        for number, disk in enumerate(state.get("disks", [])):
            form = json.loads(subprocess.run(["qemu-img", "info", "--output=json", disk["path"]], check=True,
                                             stdout=subprocess.PIPE).stdout)["format"]
            command += self.disk(number, form, disk["path"], disk.get("bus", "virtio"))
        for cd in state.get("cds", []):
            command += ["-drive", f"media=cdrom,format=raw,readonly=on,file={cd['path']}"]
        for network in state.get("networks", []):
            card, forwards = f"virtio-net-pci,mac={network['mac']}", network.get("forwards", [])
            forwarded = [f",hostfwd=tcp:127.0.0.1:{one['hostPort']}-:{one['guestPort']}" for one in forwards]
            command += (["-device", card] if network.get("mode") == "none" else
                        ["-nic", f"user,model={card}" + "".join(forwarded)])
        command += self.more_options()
        if incoming:
            command += ["-incoming", f"exec:cat {self.directory}/state"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.directory / "errors", "wb"))
        serial = self._connect("serial")
        self.console = Console(serial.recv, serial.sendall)
        self._control = self._connect("control").makefile("rw", encoding="utf-8")
        self._control.readline()
        self._ask("qmp_capabilities")
        if incoming:
            while self._ask("query-status")["status"] == "inmigrate":
                time.sleep(0.1)

    def more_options(self) -> list[str]:
        return []

    def disk(self, number: int, form: str, path: str, bus: str) -> list[str]:
        return ["-drive", f"if={'ide' if bus == 'ahci' else bus},format={form},file={path}"]

    def _connect(self, name: str) -> socket.socket:
        end = time.monotonic() + 30 * PATIENCE
        while True:
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(str(self.directory / name))
                return connection
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise Failure(f"QEMU did not start: {self.errors()}") from None
                time.sleep(0.05)

    def _ask(self, command: str, **arguments):
        self._control.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._control.flush()
        while True:
            answer = json.loads(self._control.readline())
            if "error" in answer:
                raise Failure(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def suspend(self) -> None:
        self._ask("migrate", uri=f"exec:cat > {self.directory}/state")
        while (status := self._ask("query-migrate")["status"]) in ("setup", "active", "device"):
            time.sleep(0.05)
        if status != "completed":
            raise Failure(f"suspending ended as {status}")
        self._ask("quit")
        self.wait_for_end(30)

    def restore(self) -> None:
        self.start(incoming=True)

    def screenshot(self) -> bytes:
        self._ask("screendump", filename=str(self.directory / "screen.ppm"))
        return (self.directory / "screen.ppm").read_bytes()

    def press(self, key: str) -> None:
        self._ask("send-key", keys=[{"type": "qcode", "data": key}])


class ChronovisorMachine(Machine):
    """Ours, driven as a person would: by chronoctl."""

    name = "Chronovisor"
    program = os.environ.get("CHRONOVISOR_CTL", "chronoctl")

    def __init__(self, **configuration) -> None:
        super().__init__(**configuration)
        self._environment = dict(os.environ)
        for variable in ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            folder = self.directory / variable
            folder.mkdir(mode=0o700)
            self._environment[variable] = str(folder)
        self._file = self.directory / "machine.json"
        self._file.write_text(json.dumps({"kind": "machine", "version": 1, "state": self.state}), encoding="utf-8")
        self._saved = self.directory / "saved"
        self._attached: subprocess.Popen | None = None
        self._user: int | None = None

    def belong_to(self, user: int) -> None:
        """To be called before it starts: it is run, and told what to do, by that user."""
        self._user = user
        for file in (self.directory, *self.directory.rglob("*")):
            os.chown(file, user, user)

    def _rights(self) -> dict:
        """Of a process for it, as subprocess takes them."""
        return {} if self._user is None else {"user": self._user, "group": self._user, "extra_groups": []}

    def end(self) -> None:
        if self._attached and self._attached.poll() is None:
            self._attached.kill()
            self._attached.wait()
        super().end()

    def _ctl(self, *words: str, seconds: float = 120) -> str:
        done = subprocess.run([self.program, *words], env=self._environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=seconds * PATIENCE, check=False, **self._rights())
        if done.returncode != 0:
            raise Failure(f"chronoctl {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def _host(self, *words: str) -> None:
        self.process = subprocess.Popen([self.program, *words], env=self._environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=open(self.directory / "errors", "ab"),
                                        **self._rights())
        output, typed = self.process.stdout, self.process.stdin

        def write(data: bytes) -> None:
            typed.write(data)
            typed.flush()

        self.console = Console(lambda size: os.read(output.fileno(), size), write)
        self._wait_until_it_is_there()

    def _wait_until_it_is_there(self) -> None:
        def is_there() -> bool:
            if self.process.poll() is not None:
                return True  # its console's end says that it ended at once
            try:
                shown = (self.call("machine.show") if self._user is None  # the socket serves nobody but its user
                         else json.loads(self._ctl("show", self.state["name"], "--json")))
                return shown["state"] not in ("starting", "restoring")
            except (OSError, Failure):  # nobody listens there yet
                return False

        wait_until("the machine is there", is_there)

    def start(self) -> None:
        self._host("run", str(self._file), "--state", str(self._saved), "--serial", "stdio")

    def suspend(self) -> None:
        self._ctl("suspend", self.state["name"])
        self.wait_for_end(30)

    def restore(self) -> None:
        self._host("run", "--restore", str(self._saved), "--serial", "stdio")

    def screenshot(self) -> bytes:
        file = self.directory / "screen.png"
        self._ctl("screenshot", self.state["name"], str(file))
        return subprocess.run(["convert", str(file), "ppm:-"], check=True, stdout=subprocess.PIPE).stdout

    def press(self, key: str) -> None:
        self._ctl("send-keys", self.state["name"], key)

    def reset(self) -> None:
        """Presses the reset button."""
        self._ctl("reset", self.state["name"])

    def insert(self, drive: str, disc: pathlib.Path) -> None:
        self.call("machine.insert", drive=drive, path=str(disc))

    def eject(self, drive: str, *, force: bool = False) -> None:
        self.call("machine.eject", drive=drive, force=force)

    def shut_down(self) -> None:
        """Presses the power button."""
        self._ctl("shutdown", self.state["name"])

    def move_pointer(self, x: int, y: int) -> None:
        self._ctl("send-pointer", self.state["name"], str(x), str(y))

    def play_pad(self, pad: str, *words: str) -> None:
        self._ctl("send-gamepad", self.state["name"], pad, *words)

    def set_plugged(self, device: str, plugged: bool) -> None:
        self._ctl("usb", "attach" if plugged else "detach", self.state["name"], device)

    def redirect_usb(self, where: str) -> str:
        """Takes the USB device that somebody passes on there; its id."""
        return json.loads(self._ctl("usb", "attach", self.state["name"], "--from", where, "--json"))["id"]

    def call(self, method: str, *, within: float = 120, **parameters):
        """A method of the control socket, for what is to be quick: chronoctl has to start first."""
        sockets = pathlib.Path(self._environment["XDG_RUNTIME_DIR"], "chronovisor")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(within * PATIENCE)
            connection.connect(str(sockets / f"{self.process.pid}.sock"))
            parameters = {"machine": self.state["name"], **parameters}
            connection.sendall((json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}) + "\n").encode())
            for line in connection.makefile(encoding="utf-8"):
                answer = json.loads(line)
                if answer.get("id") == 1:
                    break
            else:
                raise Failure(f"{method}: the connection ended")
        if "error" in answer:
            raise Failure(f"{method}: {answer['error']}")
        return answer["result"]

    def host_usb(self) -> list[dict]:
        """The USB devices of the host."""
        return json.loads(self._ctl("usb", "list", "--json"))

    def configuration(self) -> dict:
        """As it is now: moments may have put an overlay in a disk's place."""
        return json.loads(self._ctl("show", self.state["name"], "--json"))["config"]["state"]

    def type_on(self, console: str, text: str, until: str) -> str:
        """Types on another serial port than the first, and waits for what the guest answers there."""
        return self._ctl("console", self.state["name"], console, "--send", text, "--wait", until, "--timeout", "30")


class LibraryMachine(ChronovisorMachine):
    """One that is in a library of its own, and so has a past."""

    def __init__(self, **configuration) -> None:
        super().__init__(**configuration)
        folder = self.directory / "XDG_DATA_HOME" / "chronovisor" / "machines" / self.state["uuid"]
        folder.mkdir(parents=True, mode=0o700)
        shutil.move(self._file, folder / "machine.json")

    def start(self) -> None:
        self._host("run", self.state["name"], "--serial", "stdio")

    restore = start

    def _moment(self, action: str, *words: str) -> str:
        return self._ctl("moment", action, self.state["name"], *words)

    def keep(self, moment: str) -> None:
        self._moment("take", moment)

    def go_to(self, moment: str) -> None:
        self._moment("restore", moment)

    def delete(self, moment: str) -> None:
        self._moment("delete", moment)

    def verify(self) -> None:
        self._moment("verify")

    def fork(self, moment: str, name: str) -> "LibraryMachine":
        """Another machine of the same library, that has begun at the moment."""
        self._moment("fork", moment, "--name", name)
        other = object.__new__(LibraryMachine)
        other.__dict__.update(self.__dict__, state={**self.state, "name": name}, process=None, console=None, _attached=None)
        other.start()
        return other
