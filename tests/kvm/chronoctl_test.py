#!/usr/bin/env python3
"""chronoctl_test.py CHRONOCTL DEMO [NAME…]: the real program, as a person or a script calls it. Each verb is a process
of its own; `start` and `restore` leave one behind that hosts the demo machine. With names, these tests only. Any KVM will do."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import images
from waiting import Failure, wait_until

PATIENCE = float(os.environ.get("CHRONOVISOR_TEST_PATIENCE", "1"))
SECONDS = 60 * PATIENCE  # in which any verb has to end


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Failure(what)


def has_ended(process: int) -> bool:
    """Whether or not somebody has fetched its exit status."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Bench:
    """A person's directories, and chronoctl in them."""

    def __init__(self, program: str, demo: str) -> None:
        self.program, self.demo = program, demo
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="chronoctl-"))
        self.run = self.home / "run"
        self.run.mkdir(mode=0o700)
        self.environment = {**os.environ, "XDG_DATA_HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.run)}

    def call(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.program, *words], env=self.environment, text=True, timeout=SECONDS,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def done(self, *words: str) -> str:
        """What it prints when all goes well."""
        said = self.call(*words)
        check(said.returncode == 0, f"{' '.join(words)}: {said.returncode}: {said.stderr}")
        return said.stdout

    def told(self, *words: str):
        """What it tells a program."""
        return json.loads(self.done("--json", *words))

    def refused(self, *words: str) -> str:
        """The sentence with which it fails."""
        said = self.call(*words)
        check(said.returncode == 1, f"{' '.join(words)} ended with {said.returncode}: {said.stderr}")
        return said.stderr

    def state(self, machine: str = "demo") -> str:
        return self.told("show", machine)["state"]

    def host(self, machine: str = "demo") -> int:
        return self.told("show", machine)["pid"]

    def ask(self, command: str, answer: str) -> str:
        """Types at the demo's prompt, and waits for what it answers."""
        return self.done("console", "demo", "--send", command + "\\r", "--wait", answer, "--timeout", str(30 * PATIENCE))

    def disc(self, name: str) -> str:
        """An image for a CD drive."""
        image = self.home / f"{name}.iso"
        image.write_bytes(name.encode().ljust(2048, b"\0") * 20)
        return str(image)

    def await_medium(self, disc: str) -> None:
        """In the drive cd0: what a machine tells of its drive it tells after it has done what it was asked for."""
        wait_until(f"in the drive is {disc or 'nothing'}",
                   lambda: self.told("show", "demo")["config"]["state"]["cds"][0].get("path", "") == disc, SECONDS)

    def create(self, *more: str) -> None:
        self.done("create", "demo", "--kernel", self.demo, "--memory", "64", "--new-disk", "1M", *more)

    def count(self) -> str:
        """Memory and disk of the demo agree, or this fails."""
        return self.ask("count", "Memory and disk agree. Boot [0-9]+, ")

    def check_images(self) -> None:
        """Of all that a test has written and ended in order."""
        wait_until("each machine has been ended", lambda: all("pid" not in one for one in self.told("list")), SECONDS)
        images.check_images(self.home)

    def close(self) -> None:
        for machine in self.told("list"):
            if "pid" in machine:
                os.kill(machine["pid"], signal.SIGKILL)  # only where a test has failed
        shutil.rmtree(self.home)


def starts_suspends_and_comes_back(bench: Bench) -> None:
    bench.create()
    check(bench.done("start", "demo") == "", "a start that went well has nothing to say")
    check(bench.state() == "running", "it runs when start returns")
    host = bench.host()
    check(os.getsid(host) == host, "whoever closes the terminal does not end the machine")
    bench.ask("mem fill 4", "4 MiB filled")
    bench.done("suspend", "demo")
    check(bench.state() == "suspended", "suspended")
    part = bench.told("inspect", "demo", "--part", "serial0")
    check("divisor" in json.dumps(part), f"the state by the machine's name: {part}")
    bench.done("restore", "demo")  # at once
    check(bench.state() == "running" and bench.host() != host, "it came back in another process")
    wait_until("the process of a suspended machine ends", lambda: has_ended(host), SECONDS)
    bench.ask("mem check", "4 MiB read, 0 of")
    bench.count()
    bench.done("suspend", "demo")
    bench.done("start", "demo", "--paused")  # of a suspended machine the same, but it stands still
    check(bench.state() == "paused", "paused")
    bench.done("resume", "demo")
    bench.ask("mem check", "4 MiB read, 0 of")
    bench.done("stop", "demo")
    check(bench.state() == "off", "off")
    bench.done("validate", "demo")


def is_told_what_to_do_while_it_runs(bench: Bench) -> None:
    bench.create("--cd", bench.disc("first"))
    bench.done("start", "demo")
    bench.ask("count", "Memory and disk agree. Boot 1, ")
    bench.done("pause", "demo")
    check(bench.state() == "paused", "paused")
    bench.done("resume", "demo")
    check(bench.state() == "running", "resumed")
    bench.count()
    bench.done("eject", "demo", "cd0")
    bench.await_medium("")
    bench.done("insert", "demo", "cd0", second := bench.disc("second"))
    bench.await_medium(second)
    check("nothing" in bench.refused("insert", "demo", "cd0", str(bench.home / "nothing")), "a disc that there is not")
    bench.await_medium(second)
    bench.done("reset", "demo")
    bench.ask("count", "Memory and disk agree. Boot 2, ")
    bench.done("stop", "demo")
    bench.await_medium(second)  # kept for the next start


def comes_back_from_a_directory(bench: Bench) -> None:
    bench.create()
    bench.done("start", "demo")
    bench.ask("mem fill 4", "4 MiB filled")
    saved = str(bench.home / "saved")
    bench.done("suspend", "demo", "--to", saved)
    check(bench.state() == "off", "what was saved elsewhere is no state of the library's machine")
    bench.done("restore", saved)
    bench.ask("mem check", "4 MiB read, 0 of")
    bench.count()
    bench.done("stop", "demo")
    check(os.path.exists(saved + "/state.json"), "it can be brought back from there again")


def tells_programs(bench: Bench) -> None:
    bench.create()
    for words in (("start", "demo"), ("suspend", "demo"), ("restore", "demo")):
        check(isinstance(bench.told(*words), dict), f"{words[0]} tells an object")
    heard = bench.told("console", "demo", "--send", "count\\r", "--wait", "Memory and disk agree")
    check("Memory and disk agree" in heard["output"], "what the console said")
    saved = str(bench.home / "saved")
    bench.told("suspend", "demo", "--to", saved)
    check(isinstance(bench.told("restore", saved), dict), "restore of a directory tells an object")
    check(isinstance(bench.told("stop", "demo"), dict), "stop tells an object")


def says_why_it_does_not_start(bench: Bench) -> None:
    kernel = bench.home / "kernel.elf"
    shutil.copy(bench.demo, kernel)
    bench.done("create", "demo", "--kernel", str(kernel), "--memory", "64")
    kernel.unlink()
    sentence = bench.refused("start", "demo")
    check(sentence.startswith("chronoctl: ") and str(kernel) in sentence and sentence.count("\n") == 1,
          f"one sentence that names the file: {sentence}")
    check(bench.state() == "off", "still off")
    error = json.loads(bench.refused("--json", "start", "demo"))["error"]
    check(error["code"] == "not-found" and str(kernel) in error["message"], f"the same as JSON: {error}")
    check("nobody" in bench.refused("start", "nobody"), "a machine that there is not")
    empty = bench.home / "empty"
    empty.mkdir()
    (empty / "state.json").write_text("{}")
    (empty / "ram").write_text("")
    check("state.json" in bench.refused("restore", str(empty)), "a state that is none")
    shutil.copy(bench.demo, kernel)
    bench.done("start", "demo")
    check("running" in bench.refused("start", "demo"), "it runs already")
    bench.done("stop", "demo")


def goes_to_moments_of_a_machine_that_is_off(bench: Bench) -> None:
    bench.create()
    bench.done("start", "demo")
    bench.ask("mem fill 4", "4 MiB filled")
    bench.done("moment", "take", "demo", "full")
    bench.ask("mem fill 1", "1 MiB filled")
    bench.done("stop", "demo")

    # Nobody has it in memory: restore starts a process for it.
    bench.done("moment", "restore", "demo", "full")
    check(bench.state() == "running", "it runs at that moment")
    bench.ask("mem check", "4 MiB read, 0 of")
    bench.count()
    bench.done("stop", "demo")
    names = {moment["reason"] for moment in bench.told("moment", "list", "demo")["moments"]}
    check("before-going" in names, f"what was there before is kept: {names}")
    check("nowhere" in bench.refused("moment", "restore", "demo", "nowhere"), "a moment that there is not")
    check(bench.state() == "off", "still off")

    # A fork is a machine of its own, which goes on from there.
    bench.done("moment", "fork", "demo", "full", "--name", "other")
    check(bench.state("other") == "suspended", "it is to be restored")
    bench.done("restore", "other")
    heard = bench.done("console", "other", "--send", "mem check\\r", "--wait", "4 MiB read, 0 of", "--timeout", "30")
    check("4 MiB read" in heard, heard)
    bench.done("stop", "other")

    # Where a branch ends is a person's to delete, whatever the tiers say.
    gone = bench.told("moment", "prune", "demo", "--tiers", "none")["gone"]
    check(gone == [], f"what went: {gone}")
    tip = next(one for one in bench.told("moment", "list", "demo")["moments"] if one["reason"] == "before-going")
    bench.done("moment", "delete", "demo", tip["id"])
    left = bench.told("moment", "list", "demo")["moments"]
    check([moment["name"] for moment in left] == ["full"], f"what is left: {left}")
    bench.done("moment", "verify", "demo")


def has_its_past_whatever_it_does(bench: Bench) -> None:
    """Each action of `moment`: by the socket of the process that has the machine, and where none has it."""
    bench.create()
    bench.done("start", "demo")
    for name, mebibytes in (("one", 1), ("two", 2)):
        bench.ask(f"mem fill {mebibytes}", f"{mebibytes} MiB filled")
        bench.done("moment", "take", "demo", name)
    moment = lambda action, *more: bench.told("moment", action, "demo", *more)
    names = lambda: [one["name"] for one in moment("list")["moments"] if one["name"]]
    for state, verb in (("running", None), ("suspended", "suspend"), ("off", "stop")):
        if verb:
            bench.done(verb, "demo")
        moment("take", state, "--note", "of now")
        check(names() == ["one", "two", state], f"{state}: {names()}")
        check(moment("inspect", state)["format"] == "chronovisor-machine-state", f"{state}: inspect")
        blocks = moment("diff", "one", "two")["memory"]
        changed = next(block["changed"]["bytes"] for block in blocks if block["name"] == "ram")
        check(2 << 20 <= changed < 1 << 22, f"{state}: {changed} bytes changed")
        check(moment("verify")["damaged"] == [], f"{state}: verify")
        moment("change", state, "--name", "now", "--pin")
        now = next(one for one in moment("list")["moments"] if one["name"] == "now")
        check({"diskOwnBytes", "diskSharedBytes", "ownBytes"} <= now.keys(), f"{state}: what it takes: {now}")
        check(now["pinned"] and now["note"] == "of now" and now["isOff"] == (state == "off"), f"{state}: {now}")
        check(moment("policy", "--every", "7")["everyMinutes"] == 7, f"{state}: policy")
        check(moment("prune", "--tiers", "none", "--dry-run")["gone"] == [], f"{state}: all were asked for")
        there, bundle = str(bench.home / f"{state}.d"), str(bench.home / f"{state}.bundle")
        moment("export", "one", "--to", there)
        bench.done("validate", there)
        moment("export", "now", "--bundle", "--to", bundle)
        bench.done("moment", "import", bundle, "--name", f"{state} imported")
        moment("fork", "one", "--name", f"{state} forked")
        check(bench.state(f"{state} imported") == ("off" if state == "off" else "suspended"), f"{state}: import")
        check(bench.state(f"{state} forked") == "suspended", f"{state}: fork")
        for action in ("restore", "delete", "change", "inspect", "diff"):
            check("nowhere" in bench.refused("moment", action, "demo", "nowhere"), f"{state}: {action}")
        check("nowhere" in bench.refused("moment", "export", "demo", "nowhere", "--to", there), f"{state}: export")
        moment("delete", "now")
        check(names() == ["one", "two"] and bench.state() == state, f"{state}: {names()}, {bench.state()}")
        bench.done("moment", "restore", "demo", "one")
        bench.ask("mem check", "1 MiB read, 0 of")
        bench.count()
        bench.done("moment", "restore", "demo", "two", "--lose-present")
        bench.ask("mem check", "2 MiB read, 0 of")
    bench.done("stop", "demo")


TESTS = (starts_suspends_and_comes_back, is_told_what_to_do_while_it_runs, comes_back_from_a_directory, tells_programs,
         says_why_it_does_not_start, goes_to_moments_of_a_machine_that_is_off, has_its_past_whatever_it_does)


def main() -> int:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("CHRONOVISOR-SKIP: /dev/kvm is not usable here")
        return 77
    failed = 0
    for test in TESTS:
        if sys.argv[3:] and test.__name__ not in sys.argv[3:]:
            continue
        bench = Bench(sys.argv[1], sys.argv[2])
        try:
            test(bench)
            bench.check_images()
            print(f"PASS   : {test.__name__}", flush=True)
        except (Failure, subprocess.TimeoutExpired, KeyError, json.JSONDecodeError) as failure:
            failed += 1
            print(f"FAIL!  : {test.__name__}: {failure}", flush=True)
        finally:
            bench.close()
    print(f"{len(sys.argv[3:] or TESTS) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
