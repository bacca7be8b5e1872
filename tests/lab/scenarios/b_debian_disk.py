"""A whole Debian on a disk, through both firmwares."""

import pathlib
import re

from scenario import check_equal, lab_test


def boot_debian(lab, **configuration) -> None:
    base = lab.guest("debian") / "disk.raw"
    disk = lab.overlay(base)
    machine = lab.machine(with_past=True, memoryMiB=768, disks=[{"path": str(disk), "format": "qcow2", "backing": [str(base)]}], networks=[{}],
                          **configuration)
    machine.console.expect(r"root@debian:[^\n]*# ", 400)
    # A shell without line editing, so that the console carries only what commands print.
    machine.console.send("exec sh\n")
    machine.console.send("stty -echo; PS1=\n")
    check_equal("processors", machine.run("nproc"), "2")
    machine.run("for n in $(seq 60); do ip -4 addr show scope global | grep -q inet && break; sleep 1; done", 120)
    check_equal("address", re.search(r"inet (10\.0\.2\.\d+)/24", machine.run("ip -4 addr show scope global"))[1],
                "10.0.2.15")
    machine.run(f"wget -q -O /root/small {lab.web.address('small')}")
    machine.run("sync; echo 3 >/proc/sys/vm/drop_caches")
    machine.suspend()
    machine.restore()
    check_equal("checksum after coming back", machine.run("sha256sum /root/small").split()[0], lab.web.checksum("small"))
    machine.run(f"wget -q -O /root/again {lab.web.address('small')}")
    machine.run("cmp /root/small /root/again")
    machine.keep("with both")
    machine.run("rm /root/small; sync")
    machine.go_to("with both")
    machine.run("echo 3 >/proc/sys/vm/drop_caches; cmp /root/small /root/again")
    machine.run(f"wget -q -O /root/third {lab.web.address('small')} && cmp /root/small /root/third")
    machine.console.send("systemctl poweroff\n")
    machine.wait_for_end(120)
    lab.check_image(pathlib.Path(machine.configuration()["disks"][0]["path"]))


@lab_test(seconds=600, needs=("debian",))
def debian_boots_from_disk_through_seabios(lab):
    boot_debian(lab, firmware="seabios")


@lab_test(seconds=700, needs=("debian",))
def debian_boots_from_disk_through_ovmf(lab):
    boot_debian(lab, firmware="ovmf", firmwareVariables=str(lab.firmware_variables()))
