"""A whole Debian on a disk, through SeaBIOS and through OVMF; through SeaBIOS it is with devices of the host's, too, in
h_devices_of_the_host.py."""

import pathlib
import re

from images import check_image
from scenario import check_equal, lab_test
from work import suspend_at_work


PROMPT = r"root@debian:[^\n]*# "
EFI_VARIABLES, VENDOR = "/sys/firmware/efi/efivars", "6f1f8a4e-6f0c-4c8f-9a60-0d3c5a7be921"


def write_variable(machine, name: str) -> None:
    """One that stays: its attributes come first, and all of it at once (Documentation/filesystems/efivarfs.rst)."""
    machine.run(f"printf '\\007\\000\\000\\000{name}' >{EFI_VARIABLES}/{name}-{VENDOR}")


def check_variable(machine, name: str) -> None:
    check_equal("firmware's variable", machine.run(f"cat {EFI_VARIABLES}/{name}-{VENDOR} | tail -c +5"), name)


def wait_for_shell(machine) -> None:
    machine.console.expect(PROMPT, 400)
    begin_typing(machine)


def begin_typing(machine) -> None:
    # A shell without line editing, so that the console carries only what commands print.
    machine.console.send("exec sh\n")
    machine.console.send("stty -echo; PS1=\n")


def overlay_of_disk(lab) -> dict:
    base = lab.guest("debian") / "disk.raw"
    return {"path": str(lab.overlay(base)), "format": "qcow2", "backing": [str(base)]}


def debian(lab, **configuration):
    """At its shell, with an address."""
    machine = lab.machine(with_past=True, memoryMiB=768, disks=[overlay_of_disk(lab)], networks=[{}], **configuration)
    wait_for_shell(machine)
    check_equal("processors", machine.run("nproc"), "2")
    machine.run("for n in $(seq 300); do ip -4 addr show scope global | grep -q inet && break; sleep 0.2; done", 120)
    check_equal("address", re.search(r"inet (10\.0\.2\.\d+)/24", machine.run("ip -4 addr show scope global"))[1],
                "10.0.2.15")
    return machine


def reboot(machine) -> None:
    machine.console.send("systemctl reboot\n")
    wait_for_shell(machine)


def switch_off(lab, machine) -> None:
    """As its power button asks for."""
    machine.shut_down()
    machine.wait_for_end(120)
    check_image(pathlib.Path(machine.configuration()["disks"][0]["path"]))


def suspend_and_restore(lab, machine) -> None:
    """In the middle of its work; the largest of its files is one that came with its disk. What it has fetched before is read
    from its disk after that, and it fetches it again."""
    machine.run(f"wget -q -O /root/small {lab.web.address('small')} && ln /boot/initrd.img-* /root/large && sync && "
                "echo 3 >/proc/sys/vm/drop_caches")
    suspend_at_work(lab, machine, "/root/large", machine.run("sha256sum </root/large").split()[0], 2)
    check_equal("checksum after coming back", machine.run("sha256sum /root/small").split()[0], lab.web.checksum("small"))
    machine.run(f"wget -q -O /root/again {lab.web.address('small')} && cmp /root/small /root/again")


@lab_test(seconds=600, needs=("debian",))
def debian_boots_from_disk_through_seabios(lab):
    machine = debian(lab, firmware="seabios")
    suspend_and_restore(lab, machine)
    reboot(machine)
    machine.run("cmp /root/small /root/again")
    switch_off(lab, machine)


@lab_test(seconds=800, needs=("debian",))
def debian_boots_from_disk_through_ovmf(lab):
    variables = lab.firmware_variables()
    machine = debian(lab, firmware="ovmf", firmwareVariables=str(variables))
    write_variable(machine, "ChronovisorBefore")
    suspend_and_restore(lab, machine)
    machine.keep("with both")
    machine.run("rm /root/small; sync")
    check_variable(machine, "ChronovisorBefore")
    write_variable(machine, "ChronovisorLater")
    check_variable(machine, "ChronovisorLater")
    machine.go_to("with both")
    machine.run("echo 3 >/proc/sys/vm/drop_caches; cmp /root/small /root/again")
    machine.run(f"wget -q -O /root/third {lab.web.address('small')} && cmp /root/small /root/third")
    check_variable(machine, "ChronovisorBefore")
    machine.run(f"! ls {EFI_VARIABLES} | grep ChronovisorLater")
    write_variable(machine, "ChronovisorThird")
    reboot(machine)  # the firmware meets all devices as it did the first time
    machine.run("cmp /root/small /root/third")
    check_variable(machine, "ChronovisorThird")
    switch_off(lab, machine)
    kept = variables.read_bytes()
    check_equal("variables in the machine's file",
                [name for name in ("Before", "Later", "Third") if f"Chronovisor{name}\0".encode("utf-16-le") in kept],
                ["Before", "Third"])
