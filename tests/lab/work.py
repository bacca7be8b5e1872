"""A guest in the middle of its work when its machine goes away: checksums of a large file, one after the other, and a
download."""

import pathlib
import time

from machines import Failure, wait_until
from scenario import check_equal

SPEED = 256 << 10  # bytes a second of a download that is to be cut: it would take 24 s
MOST_SECONDS = 0.8  # of work before the suspend begins, which takes its time, too


def resets(machine) -> int:
    """How many of the guest's connections were reset so far (EstabResets)."""
    names, values = machine.run("grep ^Tcp: /proc/net/snmp").splitlines()
    return int(values.split()[names.split().index("EstabResets")])


class Download:
    """A download in the guest that a suspend cuts: it ends by itself, and goes on from where it was."""

    def __init__(self, lab, machine, file: str) -> None:
        self.lab, self.machine, self.file = lab, machine, file
        # GNU's wget, not that of BusyBox, would begin again by itself, and not say that it had to.
        self.once = "" if "BusyBox" in machine.run("wget --help 2>&1 | head -n 1") else "--tries=1"

    def begin(self) -> None:
        """It has, when this returns."""
        self.resets = resets(self.machine)
        before = self.lab.web.latest
        self.machine.run(f"rm -f /tmp/end {self.file}; "
                         f"{{ wget {self.once} -O {self.file} {self.lab.web.address('large', SPEED)} 2>/tmp/said; "
                         "echo $? >/tmp/end; } &")
        wait_until("the download has begun", lambda: self.lab.web.latest not in (before, None) and self.lab.web.latest.sent)

    def is_under_way(self) -> bool:
        """What was not sent when the machine goes away does not reach the guest any more."""
        return self.lab.web.latest.sent < self.lab.web.latest.size

    def end(self, was_cut: bool) -> None:
        self.machine.run("n=0; while [ ! -s /tmp/end ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done; "
                         "[ -s /tmp/end ]", 60)
        status, said = self.machine.run("cat /tmp/end"), self.machine.run("tail -n 3 /tmp/said")
        if was_cut and status == "0":
            raise Failure(f"the download that was cut ended as if it were whole: {said!r}")
        if status != "0":
            # What wget says of it depends on whether data was left to read; the kernel counts it either way.
            if resets(self.machine) == self.resets:
                raise Failure(f"the cut download ended with {said!r}, and not by a reset")
            self.machine.run(f"wget -q -c -O {self.file} {self.lab.web.address('large')}", 60)
        check_equal("download in two parts", self.machine.run(f"sha256sum <{self.file}").split()[0],
                    self.lab.web.checksum("large"))


class Clock:
    """What a guest takes a time for, beside the host's. A software CPU's clocks drift apart as they run; what a suspend must
    not do is make them jump."""

    def __init__(self, machine) -> None:
        uptime = "cut -d ' ' -f 1 /proc/uptime"
        asked = time.time()
        before, there, after = map(float, machine.run(f"{uptime}; date +%s; {uptime}").split())
        self.uptime = after
        # Between the question and the answer, which takes its time on a busy host.
        self.ahead_at_least, self.ahead_at_most = after - time.time(), before - asked
        self.of_day_at_least, self.of_day_at_most = there - after, there + 1 - before  # date rounds down

    def check(self, machine) -> None:
        """After a restore: the guest's clocks went on as the host's did, and its kernel finds nothing odd."""
        now = Clock(machine)
        if now.uptime < self.uptime:
            raise Failure(f"the guest's uptime went back from {self.uptime} to {now.uptime}")
        least, most = now.ahead_at_least - self.ahead_at_most, now.ahead_at_most - self.ahead_at_least
        if least > 1 or most < -1:
            raise Failure(f"the guest's uptime jumped by {least:+.2f} to {most:+.2f} s against the host's clock")
        least, most = now.of_day_at_least - self.of_day_at_most, now.of_day_at_most - self.of_day_at_least
        if least > 0.1 or most < -0.1:
            raise Failure(f"the guest's time of day jumped by {least:+.2f} to {most:+.2f} s against its uptime")
        check_equal("what the kernel says of its clock",
                    machine.run("dmesg | grep -iE 'clocksource.*unstable|soft lockup|rcu.*stall|backwards' || true"), "")


def check_enough(cut: int, rounds: int) -> None:
    """A suspend that cut no download has shown nothing of it; a quarter may be of that kind."""
    if cut < int(0.75 * rounds):
        raise Failure(f"of {rounds} suspends only {cut} cut a download")


def suspend_at_work(lab, machine, file: str, checksum: str, rounds: int) -> None:
    """The machine goes away at random moments of the guest's work, and comes back in a new process. The file, of that
    checksum, is read anew each time; what is fetched lies beside it."""
    download, cut = Download(lab, machine, str(pathlib.PurePath(file).parent / "fetched")), 0
    for turn in range(rounds):
        began = time.monotonic()
        # One after the other, so that the suspend cuts one on a fast host, too.
        machine.run("rm -f /tmp/enough /tmp/ended; { until [ -e /tmp/enough ]; do echo 3 >/proc/sys/vm/drop_caches; "
                    f"sha256sum <{file}; done >/tmp/sums; echo >/tmp/ended; }} &")
        download.begin()
        time.sleep(lab.random.uniform(0, MOST_SECONDS))
        clock = Clock(machine)
        machine.suspend()
        was_cut = download.is_under_way()
        cut += was_cut
        if turn == 0:
            time.sleep(4)  # a guest that had only stood still would be behind by as much
        machine.restore()
        clock.check(machine)
        # New connections work at once, while the old work goes on.
        machine.run(f"wget -q -O /tmp/small {lab.web.address('small')}", 30)
        check_equal("new download", machine.run("sha256sum </tmp/small").split()[0], lab.web.checksum("small"))
        machine.run("touch /tmp/enough; n=0; while [ ! -e /tmp/ended ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done; "
                    "[ -e /tmp/ended ]", 90)
        check_equal("checksums until after the gap", set(machine.run("cut -d ' ' -f 1 /tmp/sums").split()), {checksum})
        download.end(was_cut)
        print(f"    round {turn + 1} of {rounds}: {time.monotonic() - began:.1f} s", flush=True)
    check_enough(cut, rounds)
