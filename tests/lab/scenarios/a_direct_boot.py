"""Debian's kernel, booted directly: processors, network, disk; and going away in the middle of work."""

import hashlib
import os
import random
import re
import socket
import subprocess

from machines import Failure
from scenario import check_equal, lab_test
from web_server import NameServer
from work import suspend_at_work

MIB = 1 << 20
LARGE_MIB = 24  # of which checksums are made
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


def small_devices_work(machine) -> None:
    """Random numbers, and a second console."""
    check_equal("source of random numbers", machine.run("cat /sys/class/misc/hw_random/rng_current"), "virtio_rng.0")
    check_equal("random bytes", machine.run("dd if=/dev/hwrng bs=32 count=1 2>/dev/null | wc -c"), "32")
    machine.run("{ read line </dev/hvc0; echo \"got $line\" >/dev/hvc0; } &")
    machine.type_on("serial1", "this\\r", "got this")


@lab_test(seconds=240)
def linux_boots_fetches_and_writes(lab):
    disk = lab.ext4_disk(128)
    machine = lab.linux("lab.net lab.disk=vda", disks=[{"path": str(disk), "queues": 2}],
                        serials=[{}, {"virtio": True}],
                        networks=[{"forwards": [{"hostPort": FORWARDED, "guestPort": 7}]}, {"mode": "none"}])
    small_devices_work(machine)
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


@lab_test(seconds=900)
def checksum_and_download_survive_20_suspends(lab):
    content = random.Random(LARGE_MIB).randbytes(LARGE_MIB * MIB)
    disk = lab.ext4_disk(2 * LARGE_MIB, {"large": content})
    machine = lab.linux("lab.net lab.disk=vda", disks=[{"path": str(disk)}], networks=[{}])
    suspend_at_work(lab, machine, "/mnt/large", hashlib.sha256(content).hexdigest(), 20)
    lab.settle(machine, disk)


@lab_test(seconds=240)
def linux_works_on_the_portable_processor(lab):
    """Two of the model that is the same on every host of a vendor: what x86-64-v2 has, and no more."""
    content = random.Random(8).randbytes(8 * MIB)
    disk = lab.ext4_disk(64, {"large": content})
    machine = lab.linux("lab.net lab.disk=vda", cpuModel="baseline", disks=[{"path": str(disk)}], networks=[{}])

    def check_processors() -> None:
        check_equal("processors", machine.run("nproc"), "2")
        flags = machine.run("grep ^flags /proc/cpuinfo | sort -u").split()
        check_equal("what the processors have", [one for one in ("cx16", "popcnt", "sse4_2", "avx", "bmi1") if one in flags],
                    ["cx16", "popcnt", "sse4_2"])

    check_processors()
    suspend_at_work(lab, machine, "/mnt/large", hashlib.sha256(content).hexdigest(), 1)
    check_processors()
    machine.run("dd if=/dev/urandom of=/mnt/written bs=1M count=16 2>/dev/null && sync")
    written = machine.run("sha256sum </mnt/written; echo 3 >/proc/sys/vm/drop_caches; sha256sum </mnt/written").split()
    check_equal("checksum of what was written, read again", written[2], written[0])
    lab.settle(machine, disk)


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
