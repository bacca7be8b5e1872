"""Debian's kernel, booted directly: processors, network, disk; and going away in the middle of work."""

import hashlib
import random
import re
import subprocess
import time

from machines import Failure
from scenario import check_equal, lab_test

MIB = 1 << 20


@lab_test(seconds=240)
def linux_boots_fetches_and_writes(lab):
    disk = lab.ext4_disk(128)
    machine = lab.linux("lab.net lab.disk=vda", disks=[{"path": str(disk)}], networks=[{}])
    check_equal("processors", machine.run("nproc"), "2")
    check_equal("clock source", machine.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource"),
                "kvm-clock")
    check_equal("address", re.search(r"inet (10\.0\.2\.\d+)/24", machine.run("ip addr show eth0"))[1], "10.0.2.15")
    machine.run(f"wget -q -O /mnt/fetched {lab.web.address('small')}")
    machine.run("dd if=/dev/urandom of=/mnt/written bs=1M count=32 2>/dev/null && sync")
    sums = machine.run("cd /mnt && sha256sum fetched written && cd /").split()
    check_equal("checksum of what was fetched", sums[0], lab.web.checksum("small"))
    lab.settle(machine, disk)
    written = subprocess.run(["debugfs", "-R", "cat /written", str(disk)], capture_output=True, check=True).stdout
    check_equal("checksum of what was written, read on the host", hashlib.sha256(written).hexdigest(), sums[2])


def resets(machine) -> int:
    """How many of the guest's connections were reset so far (EstabResets)."""
    names, values = machine.run("grep ^Tcp: /proc/net/snmp").splitlines()
    return int(values.split()[names.split().index("EstabResets")])


class Download:
    """A download in the guest that a suspend cuts: it ends by itself, and goes on from where it was."""

    def __init__(self, lab, machine) -> None:
        self.lab, self.machine = lab, machine

    def begin(self) -> None:
        self.resets = resets(self.machine)
        self.machine.run("rm -f /tmp/end /mnt/fetched; "
                         f"{{ wget -O /mnt/fetched {self.lab.web.address('large', 3 * MIB)} 2>/tmp/said; "
                         "echo $? >/tmp/end; } &")

    def end(self) -> None:
        self.machine.run("n=0; while [ ! -s /tmp/end ] && [ $n -lt 30 ]; do sleep 1; n=$((n + 1)); done; "
                         "[ -s /tmp/end ]", 60)
        if self.machine.run("cat /tmp/end") != "0":
            # What wget says of it depends on whether data was left to read; the kernel counts it either way.
            if resets(self.machine) == self.resets:
                raise Failure(f"the cut download ended with {self.machine.run('cat /tmp/said')!r}, and not by a reset")
            self.machine.run(f"wget -q -c -O /mnt/fetched {self.lab.web.address('large')}", 60)
        check_equal("download in two parts", self.machine.run("sha256sum </mnt/fetched").split()[0],
                    self.lab.web.checksum("large"))


def suspended_at_work(lab, number: int, mebibytes: int, with_download: bool) -> None:
    """Starts a checksum (and a download), goes away at a random moment of it, comes back in a new process."""
    content = random.Random(mebibytes).randbytes(mebibytes * MIB)
    disk = lab.ext4_disk(2 * mebibytes, {"large": content})
    machine = lab.linux("lab.net lab.disk=vda", disks=[{"path": str(disk)}], networks=[{}])
    download = Download(lab, machine)
    for turn in range(number):
        began = time.monotonic()
        machine.run("echo 3 >/proc/sys/vm/drop_caches; rm -f /tmp/sum; { sha256sum /mnt/large >/tmp/sum; } &")
        if with_download:
            download.begin()
        time.sleep(random.uniform(0.0, mebibytes / 60))
        machine.suspend()
        machine.restore()
        # New connections work at once, while the old work goes on.
        machine.run(f"wget -q -O /tmp/small {lab.web.address('small')}", 30)
        check_equal("new download", machine.run("sha256sum </tmp/small").split()[0], lab.web.checksum("small"))
        machine.run("n=0; while [ ! -s /tmp/sum ] && [ $n -lt 60 ]; do sleep 1; n=$((n + 1)); done", 90)
        check_equal("checksum over the gap", machine.run("cat /tmp/sum").split()[0], hashlib.sha256(content).hexdigest())
        if with_download:
            download.end()
        print(f"    round {turn + 1} of {number}: {time.monotonic() - began:.1f} s", flush=True)
    lab.settle(machine, disk)


@lab_test(seconds=240)
def checksum_survives_3_suspends(lab):
    suspended_at_work(lab, 3, 96, with_download=False)


@lab_test(seconds=900)
def checksum_and_download_survive_20_suspends(lab):
    suspended_at_work(lab, 20, 160, with_download=True)
