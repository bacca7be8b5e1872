"""Debian's kernel goes back and forth on its timeline, under load, with two disks of one instant."""

import hashlib
import pathlib
import random
import subprocess
import time

from images import check_image
from machines import Failure
from scenario import check_equal, lab_test
from scenarios.a_direct_boot import MIB
from work import Download

# What the guest does all the time: the same number to both disks, as durable as it gets, and then to memory.
COUNTING = ("setsid sh -c 'n=$(cat /tmp/n); while :; do n=$((n + 1)); for disk in /mnt /second; do echo $n | dd of=$disk/n conv=fsync 2>/dev/null; "
            "done; echo $n >/tmp/next; mv /tmp/next /tmp/n; done' & counting=$!")
# The counting ends at once, but not in the middle of a write: what it has begun, a process of its session, it ends.
STOPPING = "kill $counting; wait $counting; n=0; while kill -0 -$counting 2>/dev/null && [ $n -lt 200 ]; do sleep 0.1; n=$((n + 1)); done"
CLOCK_SECONDS = 1  # that the guest may be off


class Past:
    """A Linux guest with a past, and what must be true whenever it has come back to a moment of that."""

    def __init__(self, lab) -> None:
        self.lab = lab
        content = random.Random(7).randbytes(48 * MIB)
        self.checksum = hashlib.sha256(content).hexdigest()
        raw, second = lab.ext4_disk(128, {"large": content}), lab.ext4_disk(64)
        qcow2 = second.with_suffix(".qcow2")
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(second), str(qcow2)], check=True)
        self.machine = lab.linux("lab.net lab.disk=vda", with_past=True, networks=[{}],
                                 disks=[{"path": str(raw), "format": "raw"}, {"path": str(qcow2), "format": "qcow2"}])
        self.machine.run("mkdir /second; mount -t ext4 /dev/vdb /second; echo 0 | tee /mnt/n /second/n >/tmp/n")
        self.count()

    def count(self) -> None:
        self.machine.run(COUNTING)

    def check_instant(self) -> None:
        """Both disks and memory are of one instant, the counting had not ended, and nothing of a file is lost."""
        machine = self.machine
        machine.run(f"{STOPPING}; sync; echo 3 >/proc/sys/vm/drop_caches")
        first, second, memory = (int(machine.run(f"cat {folder}/n")) for folder in ("/mnt", "/second", "/tmp"))
        if not memory <= second <= first <= memory + 1:
            raise Failure(f"the first disk has counted to {first}, the second to {second}, memory to {memory}")
        check_equal("checksum of a file on the disk", machine.run("sha256sum </mnt/large").split()[0], self.checksum)
        self.count()

    def check_clock(self) -> None:
        asked = time.time()
        told = int(self.machine.run("date +%s"))  # rounded down
        least, most = told - time.time(), told + 1 - asked
        if least > CLOCK_SECONDS or most < -CLOCK_SECONDS:
            raise Failure(f"the guest's clock is {least:+.1f} to {most:+.1f} s ahead")

    def check_network(self) -> None:
        self.machine.run(f"wget -q -O /tmp/small {self.lab.web.address('small')}", 30)
        check_equal("new download", self.machine.run("sha256sum </tmp/small").split()[0], self.lab.web.checksum("small"))

    def check_presence(self, **files: bool) -> None:
        for name, there in files.items():
            check_equal(f"whether {name} is there", self.machine.try_run(f"[ -f /mnt/{name} ]")[0] == 0, there)

    def end(self) -> None:
        """In order; then others judge what the machine has left."""
        self.machine.run(f"{STOPPING}; umount /mnt /second")
        self.machine.console.send("poweroff -f\n")
        self.machine.wait_for_end(30)
        for disk in self.machine.configuration()["disks"]:
            if disk["format"] == "qcow2":
                check_image(pathlib.Path(disk["path"]))
            flat = self.lab.directory / f"{disk['id']}.flat"
            subprocess.run(["qemu-img", "convert", "-f", disk["format"], "-O", "raw", disk["path"], str(flat)], check=True)
            self.lab.check_ext4(flat)
            flat.unlink()


@lab_test(seconds=400)
def linux_goes_back_and_forth(lab):
    past = Past(lab)
    machine = past.machine
    download = Download(lab, machine, "/mnt/fetched")
    download.begin()
    machine.keep("one")
    check_equal("whether the download is cut by going back", download.is_under_way(), True)
    machine.run("echo later >/mnt/later; sync")
    time.sleep(1)
    machine.keep("two")
    machine.run("rm /mnt/later; sync")

    machine.go_to("one")
    past.check_clock()
    past.check_instant()
    past.check_presence(later=False)
    past.check_network()
    download.end(was_cut=True)
    machine.run("echo other >/mnt/other; sync")
    machine.keep("three")  # on another branch than "two"

    machine.go_to("two")
    past.check_clock()
    past.check_instant()
    past.check_presence(later=True, other=False)
    past.check_network()

    machine.delete("one")
    machine.verify()
    other = machine.fork("three", "fork")
    lab.machines.append(other)
    machine.go_to("three")
    past.check_instant()
    past.check_presence(later=False, other=True)
    uptime = float(machine.run("cat /proc/uptime").split()[0])
    machine.suspend()
    machine.restore()
    past.check_clock()
    past.check_instant()
    if float(machine.run("cat /proc/uptime").split()[0]) < uptime:
        raise Failure("the guest's monotonic clock went back")
    past.end()

    # The fork is the machine at "three", by itself.
    past.machine = other
    past.check_clock()
    past.check_instant()
    past.check_presence(later=False, other=True)
    if other.configuration()["networks"][0]["mac"] == machine.configuration()["networks"][0]["mac"]:
        raise Failure("the fork has the original's network address")
    past.check_network()
    past.end()
