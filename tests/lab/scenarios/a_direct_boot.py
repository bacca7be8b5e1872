"""Debian's kernel, booted directly: processors, network, disk; and going away in the middle of work."""

import hashlib
import os
import random
import re
import socket
import subprocess
import time

from machines import Failure
from scenario import check_equal, lab_test
from web_server import NameServer

MIB = 1 << 20
FORWARDED = 4007  # nobody listens there in L1, and it is below those that connections get (ip_local_port_range)


def names_are_found(lab, machine) -> None:
    """By the host's own name server, which the guest reaches at the network's address for it."""
    lab.serve_names()
    found = machine.run(f"nslookup {NameServer.NAME}")
    if f"Address: {NameServer.ADDRESS}" not in re.sub(r"Address 1:", "Address:", found):
        raise Failure(f"the name was not found: {found!r}")
    if machine.try_run(f"nslookup not.{NameServer.NAME}")[0] == 0:
        raise Failure("a name was found that nobody has")


def forwarded_port_carries_both_ways(machine) -> None:
    machine.run("{ nc -ll -p 7 -e cat; } &")
    machine.run("n=0; until netstat -ltn | grep -q ':7 '; do n=$((n + 1)); [ $n -lt 50 ] || break; sleep 0.1; done")
    there = random.Random(FORWARDED).randbytes(1 << 16)
    with socket.create_connection(("127.0.0.1", FORWARDED), 20) as connection:
        connection.settimeout(20)
        connection.sendall(there)
        connection.shutdown(socket.SHUT_WR)
        back = b"".join(iter(lambda: connection.recv(65536), b""))
    check_equal("checksum of what came back from the guest's port", hashlib.sha256(back).hexdigest(),
                hashlib.sha256(there).hexdigest())


def card_without_network_hears_nothing(machine) -> None:
    machine.run("ip link set eth1 up")
    if machine.try_run("udhcpc -q -n -t 2 -T 1 -i eth1 -s /bin/udhcpc-script")[0] == 0:
        raise Failure("somebody gave an address to a card without a network")
    check_equal("addresses of the card without a network", machine.run("ip -4 addr show eth1"), "")
    check_equal("packets that it received", machine.run("cat /sys/class/net/eth1/statistics/rx_packets"), "0")


@lab_test(seconds=240)
def linux_boots_fetches_and_writes(lab):
    disk = lab.ext4_disk(128)
    machine = lab.linux("lab.net lab.disk=vda", disks=[{"path": str(disk), "queues": 2}],
                        networks=[{"forwards": [{"hostPort": FORWARDED, "guestPort": 7}]}, {"mode": "none"}])
    check_equal("processors", machine.run("nproc"), "2")
    check_equal("queues of the disk", machine.run("ls /sys/block/vda/mq").split(), ["0", "1"])
    check_equal("clock source", machine.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource"),
                "kvm-clock")
    check_equal("address", re.search(r"inet (10\.0\.2\.\d+)/24", machine.run("ip addr show eth0"))[1], "10.0.2.15")
    names_are_found(lab, machine)
    forwarded_port_carries_both_ways(machine)
    card_without_network_hears_nothing(machine)
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
                         f"{{ wget -O /mnt/fetched {self.lab.web.address('large', 3 * MIB // 2)} 2>/tmp/said; "
                         "echo $? >/tmp/end; } &")

    def end(self) -> None:
        self.machine.run("n=0; while [ ! -s /tmp/end ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done; "
                         "[ -s /tmp/end ]", 60)
        if self.machine.run("cat /tmp/end") != "0":
            # What wget says of it depends on whether data was left to read; the kernel counts it either way.
            if resets(self.machine) == self.resets:
                raise Failure(f"the cut download ended with {self.machine.run('cat /tmp/said')!r}, and not by a reset")
            self.machine.run(f"wget -q -c -O /mnt/fetched {self.lab.web.address('large')}", 60)
        check_equal("download in two parts", self.machine.run("sha256sum </mnt/fetched").split()[0],
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


def suspended_at_work(lab, number: int, mebibytes: int) -> None:
    """Starts checksums and a download, goes away at a random moment of them, comes back in a new process."""
    content = random.Random(mebibytes).randbytes(mebibytes * MIB)
    disk = lab.ext4_disk(2 * mebibytes, {"large": content})
    machine = lab.linux("lab.net lab.disk=vda", disks=[{"path": str(disk)}], networks=[{}])
    download = Download(lab, machine)
    for turn in range(number):
        began = time.monotonic()
        # One after the other, so that the suspend cuts one on a fast host, too.
        machine.run("rm -f /tmp/enough /tmp/ended; { until [ -e /tmp/enough ]; do echo 3 >/proc/sys/vm/drop_caches; "
                    "sha256sum </mnt/large; done >/tmp/sums; echo >/tmp/ended; } &")
        download.begin()
        time.sleep(lab.random.uniform(0.0, mebibytes / 30))
        clock = Clock(machine)
        machine.suspend()
        if turn == 0:
            time.sleep(4)  # a guest that had only stood still would be behind by as much
        machine.restore()
        clock.check(machine)
        # New connections work at once, while the old work goes on.
        machine.run(f"wget -q -O /tmp/small {lab.web.address('small')}", 30)
        check_equal("new download", machine.run("sha256sum </tmp/small").split()[0], lab.web.checksum("small"))
        machine.run("touch /tmp/enough; n=0; while [ ! -e /tmp/ended ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done; "
                    "[ -e /tmp/ended ]", 90)
        check_equal("checksums until after the gap", set(machine.run("cut -d ' ' -f 1 /tmp/sums").split()),
                    {hashlib.sha256(content).hexdigest()})
        download.end()
        print(f"    round {turn + 1} of {number}: {time.monotonic() - began:.1f} s", flush=True)
    lab.settle(machine, disk)


@lab_test(seconds=900)
def checksum_and_download_survive_20_suspends(lab):
    suspended_at_work(lab, 20, 24)


@lab_test(seconds=120, needs=())
def demo_machine_boots_and_comes_back(lab):
    """Our own guest, as a newcomer meets it, on a KVM with all of a processor's help."""
    if not (demo := os.environ.get("LAB_DEMO")):
        raise Failure("there is no demo machine in this build")
    disk = lab.directory / "demo.raw"
    disk.write_bytes(bytes(MIB))
    machine = lab.machine(cpus=1, memoryMiB=64, cpuModel="baseline", displays=[{}], disks=[{"path": str(disk)}],
                          kernel={"kernel": demo, "initrd": "", "commandLine": ""})
    machine.console.expect(r"Chronovisor demo machine, boot 1\.(.|\n)*> ", 30)
    machine.console.send("count\r")
    machine.console.expect("Memory and disk agree. Boot 1,", 30)
    machine.suspend()
    machine.restore()
    machine.console.send("count\r")
    machine.console.expect("Memory and disk agree. Boot 1,", 30)
