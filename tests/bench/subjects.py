"""Processes that host one machine, ours and QEMU's, with the guest's serial line on their standard output."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import select
import shutil
import socket
import subprocess
import time
import typing
import uuid

from figures import Skip

LIMIT = 60  # seconds for a guest to say something, and for a process to end


class Subject:
    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.began = time.monotonic()
        self._text = b""
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.communicate()

    def read(self) -> None:
        """Waits for more of what the guest prints."""
        if not select.select([self.process.stdout], [], [], LIMIT)[0]:
            raise Skip(f"{os.path.basename(self.process.args[0])}: the guest says nothing for {LIMIT} s")
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            problem = self.process.stderr.read().decode(errors="replace").strip()
            raise Skip(f"{os.path.basename(self.process.args[0])} ended: {problem[:300]}")
        self._text += data

    def wait_for(self, text: bytes) -> float:
        """When `text` had been printed; later calls look behind it."""
        while text not in self._text:
            self.read()
        now = time.monotonic()
        self._text = self._text.split(text, 1)[1]
        return now

    def next_number(self) -> int:
        """The next whole line of a guest that counts."""
        self.wait_for(b"\n")
        while b"\n" not in self._text:
            self.read()
        return int(self._text.split(b"\n")[0])

    def longest_silence(self, action: typing.Callable[[], None]) -> float:
        """Seconds between two things that the guest prints, at most, while `action` is done beside."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            doing = pool.submit(action)
            longest, last = 0.0, time.monotonic()
            while not doing.done():
                self.read()
                now = time.monotonic()
                longest, last = max(longest, now - last), now
            doing.result()
        return longest

    def since_start(self, until: float) -> float:
        return (until - self.began) * 1000

    def wait_for_end(self) -> float:
        """Reads on, so that it is not the pipe that is waited for."""
        while os.read(self.process.stdout.fileno(), 65536):
            pass
        self.process.wait(LIMIT)
        return time.monotonic()


class Product:
    """How a guest is started; `machine` is a dictionary with kernel, words, memory (MiB), display (bool), disk (qcow2)."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        directory.mkdir()


class Chronovisor(Product):
    def __init__(self, directory: pathlib.Path, program: pathlib.Path) -> None:
        super().__init__(directory)
        if not program.exists():
            raise Skip(f"{program.name} is not built")
        self._program = str(program)
        self._environment = dict(os.environ)
        self._saved = directory / "saved"
        for variable in ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            (directory / variable).mkdir(mode=0o700)
            self._environment[variable] = str(directory / variable)

    @staticmethod
    def _describe(machine: dict, identity: str, file: pathlib.Path) -> None:
        state = {"uuid": identity, "name": "bench", "cpus": 1, "memoryMiB": machine["memory"],
                 "firmware": "none", "kernel": {"kernel": machine["kernel"], "commandLine": machine["words"]},
                 "serials": [{"id": "serial0"}], "displays": [{"id": "display0"}] if machine.get("display") else [],
                 "disks": [{"id": "disk0", "path": machine["disk"]}] if machine.get("disk") else []}
        file.write_text(json.dumps({"kind": "machine", "version": 1, "state": state}), encoding="utf-8")

    def start(self, machine: dict) -> Subject:
        shutil.rmtree(self._saved, ignore_errors=True)  # or it would go on from there
        file = self.directory / "bench.json"
        self._describe(machine, str(uuid.uuid4()), file)
        return Subject([self._program, "run", str(file), "--state", str(self._saved), "--serial", "stdio"],
                       self._environment)

    def start_in_library(self, machine: dict) -> Subject:
        """With a past; it is called "bench"."""
        identity = str(uuid.uuid4())
        folder = self.directory / "XDG_DATA_HOME" / "chronovisor" / "machines" / identity
        folder.mkdir(parents=True, mode=0o700)
        self._describe(machine, identity, folder / "machine.json")
        return self.run("bench")

    def run(self, name: str) -> Subject:
        return Subject([self._program, "run", name, "--serial", "stdio"], self._environment)

    def tell(self, *words: str) -> float:
        """How many milliseconds chronoctl takes for it."""
        asked = time.monotonic()
        done = subprocess.run([self._program, *words], env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skip(f"chronoctl {' '.join(words)}: {done.stderr.strip()}")
        return (time.monotonic() - asked) * 1000

    def suspend(self, subject: Subject) -> float:
        """Milliseconds from asking to the end of the process; the state is on the disk then."""
        asked = time.monotonic()
        asking = subprocess.Popen([self._program, "suspend", "bench"], env=self._environment,
                                  stdout=subprocess.DEVNULL)
        ended = subject.wait_for_end()
        if asking.wait(LIMIT) != 0:
            raise Skip("chronoctl suspend failed")
        return (ended - asked) * 1000

    def restore(self, _: dict) -> Subject:
        return Subject([self._program, "run", "--restore", str(self._saved), "--serial", "stdio"], self._environment)


class Qemu(Product):
    """`way` is how it suspends: "savevm" into its qcow2 disk, or "migrate" to a file."""

    def __init__(self, directory: pathlib.Path, board: str = "q35", way: str = "savevm") -> None:
        super().__init__(directory)
        if not shutil.which("qemu-system-x86_64"):
            raise Skip("qemu-system-x86_64 is not installed")
        self._board, self._way = board, way

    def start(self, machine: dict, *more: str) -> Subject:
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", self._board, "-accel", "kvm",
                   "-cpu", "host", "-m", str(machine["memory"]), "-display", "none", "-serial", "stdio",
                   "-kernel", machine["kernel"], "-append", machine["words"]]
        if machine.get("display"):
            command += ["-vga", "std"]
        if machine.get("disk"):
            command += ["-drive", f"if=virtio,format=qcow2,file={machine['disk']}",
                        "-qmp", f"unix:{self.directory}/control,server=on,wait=off"]
        return Subject(command + list(more))

    @contextlib.contextmanager
    def _control(self):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.directory / "control"))
            control = connection.makefile("rw", encoding="utf-8")
            control.readline()
            ask(control, "qmp_capabilities")
            yield control

    def snapshot(self) -> None:
        """The guest goes on afterwards."""
        with self._control() as control:
            savevm(control)

    def suspend(self, subject: Subject) -> float:
        with self._control() as control:
            asked = time.monotonic()
            if self._way == "savevm":
                savevm(control)
            else:
                # To the disk, as ours; and not at the speed that its default leaves to a network.
                ask(control, "migrate-set-parameters", **{"max-bandwidth": 1 << 40})
                ask(control, "migrate", uri=f"exec:dd bs=1M conv=fsync status=none of={self.directory}/state")
                while (status := ask(control, "query-migrate")["status"]) in ("setup", "active", "device"):
                    time.sleep(0.005)
                if status != "completed":
                    raise Skip(f"QEMU's migration ended as {status}")
            ask(control, "quit")
            return (subject.wait_for_end() - asked) * 1000

    def restore(self, machine: dict) -> Subject:
        more = ["-loadvm", "bench"] if self._way == "savevm" else ["-incoming", f"exec:cat {self.directory}/state"]
        return self.start(machine, *more)


def savevm(control) -> None:
    if problem := ask(control, "human-monitor-command", **{"command-line": "savevm bench"}):
        raise Skip(f"QEMU's savevm: {problem}")


def ask(control, command: str, **arguments):
    control.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    control.flush()
    while True:
        answer = json.loads(control.readline())
        if "error" in answer:
            raise Skip(f"QEMU: {command}: {answer['error']['desc']}")
        if "return" in answer:
            return answer["return"]
