"""A USB stick of the host's (L1's QEMU gives it one, l1_usb.py) in a guest: through usbfs, and by way of usbredirect,
which passes it on as another computer would."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import subprocess
import sys

from l1_usb import STICK_SERIAL, Hand, sit_down, start_udev, stick_file, udev_rules
from machines import Failure, wait_until
from scenario import check_equal, lab_test, not_downloaded
from scenarios.e_usb import wait_in

DEVICES = pathlib.Path("/sys/bus/usb/devices")
ROUNDS = int(os.environ.get("LAB_ROUNDS", "100"))  # of attaching and giving back
STICK_BY_ID = f"/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_{STICK_SERIAL}-0:0"  # as Debian's udev names it
USBDEVFS_RESET = 0x5514  # linux/usbdevice_fs.h
POWER = pathlib.Path("/sys/power")
SAY_NOTHING = "dmesg -n 1"  # of a stick that goes: it would be in between our lines


def driver_of(port: str) -> str | None:
    link = pathlib.Path(f"/sys/bus/usb/devices/{port}:1.0/driver")
    return link.resolve().name if link.exists() else None


def stick_of_host(machine) -> dict:
    """As `chronoctl usb list` tells of it."""
    stick = next((device for device in machine.host_usb() if device["serial"] == STICK_SERIAL), None)
    if not stick:
        raise Failure("this L1 has no USB stick; run_lab_tests gives it one")
    return stick


def wait_for_disk(machine, there: bool) -> None:
    test = "-b" if there else "! -e"
    wait_in(machine, f"[ {test} /dev/sda ]")


def disk_on_host(port: str, driver: str = "usb-storage") -> str:
    """The block device that the host's driver makes of the stick, once it is there."""
    disks = pathlib.Path(f"/sys/bus/usb/devices/{port}:1.0")
    wait_until("the host's driver has the stick again", lambda: driver_of(port) == driver)
    wait_until("the host sees the stick's disk again", lambda: any(disks.glob("host*/target*/*/block/*")))
    node = pathlib.Path("/dev", next(disks.glob("host*/target*/*/block/*")).name)
    wait_until(f"{node} is there", node.is_block_device)
    return str(node)


def number_of_stick(machine) -> str:
    """The one that it has on its bus in the guest."""
    return machine.run("cat /sys/bus/usb/devices/2-1/devnum")


def read_by_guest(machine) -> str:
    """Reads the stick without end, until it is gone; its number."""
    machine.run("{ while dd if=/dev/sda of=/dev/null bs=64k 2>/dev/null; do echo 3 >/proc/sys/vm/drop_caches; done; "
                "echo gone >/tmp/ended; } &")
    return number_of_stick(machine)


def wait_for_another(machine, number: str) -> None:
    """A stick that was plugged in after the one of that number."""
    wait_in(machine, f"[ \"$(cat /sys/bus/usb/devices/2-1/devnum 2>/dev/null)\" -gt {number} ] 2>/dev/null && [ -b /dev/sda ]")


def disk_of_stick(machine) -> str:
    wait_in(machine, "ls -d /sys/block/sd?")
    return machine.run("basename /sys/block/sd?")


def node_of(device: pathlib.Path) -> pathlib.Path:
    bus, address = (int((device / name).read_text(encoding="ascii")) for name in ("busnum", "devnum"))
    return pathlib.Path(f"/dev/bus/usb/{bus:03}/{address:03}")


def reset_by_host(port: str) -> None:
    with open(node_of(DEVICES / port), "wb", buffering=0) as node:
        fcntl.ioctl(node, USBDEVFS_RESET)


def wait_for_usbredirect(port: str, listens_at: int) -> None:
    """Until it has the stick of that port, and somebody can connect to it."""
    wait_until("usbredirect has the stick", lambda: driver_of(port) == "usbfs")
    listening = f":{listens_at:04X} 00000000:0000 0A"  # Documentation/networking/proc_net_tcp.rst
    wait_until("usbredirect listens", lambda: listening in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii"))


@contextlib.contextmanager
def passed_on(stick: dict, listens_at: int):
    """By usbredirect, to one guest, and no longer than that goes."""
    with subprocess.Popen(["usbredirect", "--device", stick["id"], "--as", f"127.0.0.1:{listens_at}"]) as passing:
        try:
            wait_for_usbredirect(stick["port"], listens_at)
            yield passing
        finally:
            passing.kill()


def check_file(machine, disk: str = "sda") -> None:
    """The guest mounts the stick and reads what is on it."""
    machine.run(f"until mount -t ext4 /dev/{disk} /mnt; do sleep 0.1; done")
    check_equal("checksum of the file on the stick", machine.run("sha256sum </mnt/large").split()[0],
                hashlib.sha256(stick_file()).hexdigest())
    machine.run("umount /mnt")


def write_random(machine, disk: str, at: int) -> str:
    """Four MiB from there on, by the guest, which does not remember them; their checksum."""
    machine.run(f"dd if=/dev/urandom of=/tmp/new bs=1M count=4 2>/dev/null; dd if=/tmp/new of=/dev/{disk} bs=1M seek={at} "
                "2>/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches")
    return machine.run("sha256sum </tmp/new").split()[0]


def check_in_guest(machine, disk: str, at: int, written: str) -> None:
    read = machine.run(f"dd if=/dev/{disk} bs=1M skip={at} count=4 2>/dev/null | sha256sum").split()[0]
    check_equal("checksum of what was written", read, written)


def check_written(disk: str, at: int, written: str) -> None:
    """The four MiB from there on, as the host reads them, have that checksum."""
    read = subprocess.run(["dd", f"if={disk}", "bs=1M", f"skip={at}", "count=4", "iflag=direct"], capture_output=True,
                          check=True).stdout
    check_equal("checksum of what was written, read on the host", hashlib.sha256(read).hexdigest(), written)


def open_files(machine) -> int:
    return len(list(pathlib.Path(f"/proc/{machine.process.pid}/fd").iterdir()))


def threads(machine) -> int:
    return len(list(pathlib.Path(f"/proc/{machine.process.pid}/task").iterdir()))


def come_and_go(machine, port: str, rounds: int) -> None:
    """Attached and given back, while the guest looks each time, and nothing stays behind."""
    files_before, threads_before = open_files(machine), threads(machine)
    seen = int(machine.run("dmesg | grep -c 'USB disconnect'"))
    for _ in range(rounds):
        machine.call("machine.attachUsb", device=port)
        machine.run("until [ -e /sys/bus/usb/devices/2-1 ]; do sleep 0.02; done", 20)
        machine.call("machine.detachUsb", device=port)
        machine.run("while [ -e /sys/bus/usb/devices/2-1 ]; do sleep 0.02; done", 20)
        wait_until("the host's driver has the stick again", lambda: driver_of(port) == "usb-storage")
    check_equal("devices that went", int(machine.run("dmesg | grep -c 'USB disconnect'")) - seen, rounds)
    wait_until(f"no more than {files_before} open files and {threads_before} threads",
               lambda: open_files(machine) <= files_before and threads(machine) <= threads_before)


def let_systemd_mount(machine, device: str) -> None:
    """At /stick, whenever udev has found that device, and as long as it is there; until forget_mount()."""
    units = "/run/systemd/system"
    machine.run(f"mkdir /stick; printf '[Mount]\\nWhat={device}\\nWhere=/stick\\nOptions=ro,x-systemd.device-bound\\n' "
                f">{units}/stick.mount; wants={units}/$(systemd-escape -p --suffix=device {device}).wants; "
                "mkdir $wants; ln -s ../stick.mount $wants; systemctl daemon-reload")


def forget_mount(machine) -> None:
    machine.run("rm -r $wants /run/systemd/system/stick.mount; systemctl daemon-reload")


def come_and_go_mounted(machine, port: str) -> None:
    """The guest, a whole Debian, is told no word of a stick that goes, and lets go of its file system."""
    let_systemd_mount(machine, STICK_BY_ID)
    for _ in range(2):
        machine.call("machine.attachUsb", device=port)
        wait_in(machine, "mountpoint -q /stick")
        check_equal("checksum of the file on the stick", machine.run("sha256sum </stick/large").split()[0],
                    hashlib.sha256(stick_file()).hexdigest())
        machine.call("machine.detachUsb", device=port)
        wait_in(machine, f"! mountpoint -q /stick && [ ! -e {STICK_BY_ID} ]")
        wait_until("the host's driver has the stick again", lambda: driver_of(port) == "usb-storage")
    forget_mount(machine)


def a_stick_of_another_computer_works(machine, stick: dict) -> None:
    """The same one, passed on by usbredirect."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with passed_on(stick, 4000) as passing:
        device = machine.redirect_usb("127.0.0.1:4000")
        wait_for_disk(machine, True)
        check_file(machine)
        written = write_random(machine, "sda", 16)
        check_in_guest(machine, "sda", 16, written)
        machine.set_plugged(device, False)
        wait_for_disk(machine, False)
        passing.wait(20)  # it serves one guest
    check_written(disk_on_host(stick["port"]), 16, written)
    # The connection's end in the middle of reading is an unplug.
    with passed_on(stick, 4001) as passing:
        machine.redirect_usb("127.0.0.1:4001")
        wait_for_disk(machine, True)
        read_by_guest(machine)
        passing.kill()
        wait_for_disk(machine, False)


@lab_test(seconds=300, needs=("hardware",), usb=True)
def a_stick_of_the_host_and_one_of_another_computer_work_in_the_guest(lab):
    machine = lab.linux("", "hardware", tablet=False, usbControllers=[{}])
    machine.run(SAY_NOTHING)
    stick = stick_of_host(machine)
    port = stick["port"]
    wait_until("the host's own driver has the stick", lambda: driver_of(port) == "usb-storage")
    machine.set_plugged(port, True)
    wait_until("the machine has the stick", lambda: driver_of(port) == "usbfs")
    wait_for_disk(machine, True)
    check_file(machine)
    if "/dev/bus/usb/" not in pathlib.Path(f"/proc/{machine.process.pid}/maps").read_text(encoding="ascii"):
        raise Failure("transfers do not lie in the kernel's memory")
    written = write_random(machine, "sda", 20)
    # A restore finds it unplugged, for what was in it was not saved, and plugs it in anew.
    before = read_by_guest(machine)
    machine.suspend()
    wait_until("the host's driver has it while the machine is suspended", lambda: driver_of(port) == "usb-storage")
    machine.restore()
    wait_until("the machine has the stick again", lambda: driver_of(port) == "usbfs")
    wait_in(machine, "[ -e /tmp/ended ]")
    wait_for_another(machine, before)
    # Linux has not taken it for the one that it knew.
    check_equal("devices pulled out", machine.run("dmesg | grep -c 'USB disconnect'"), "1")
    check_equal("resets by drivers", machine.run("dmesg | grep -c 'reset .* USB device' || true"), "0")
    check_in_guest(machine, "sda", 20, written)
    # A reset in the middle of reading: the stick is the machine's all the while.
    read_by_guest(machine)
    machine.call("machine.reset")
    machine.console.expect("GUEST-READY", 120)
    machine.run(SAY_NOTHING)
    check_equal("driver of the host's after a reset", driver_of(port), "usbfs")
    wait_for_disk(machine, True)
    check_file(machine)
    # Nor does another program's reset take it away for good, after which the host's own driver has it, as after a sleep.
    before = read_by_guest(machine)
    reset_by_host(port)
    wait_in(machine, "[ -e /tmp/ended ]")
    wait_for_another(machine, before)
    check_equal("driver of the host's after its reset", driver_of(port), "usbfs")
    check_file(machine)
    machine.set_plugged(port, False)
    wait_for_disk(machine, False)
    check_written(disk_on_host(port), 20, written)
    a_stick_of_another_computer_works(machine, stick)
    # Whoever is killed does not give its devices back; ours come back all the same, and what usbredirect has left too.
    machine.set_plugged(port, True)
    wait_until("the machine has the stick", lambda: driver_of(port) == "usbfs")
    machine.process.kill()
    machine.wait_for_end(30)
    wait_until("the host's driver has the stick of the killed process", lambda: driver_of(port) == "usb-storage")


def let_host_sleep() -> None:
    """All of L1's devices sleep for a second, without its processors, and wake (Linux,
    Documentation/power/basic-pm-debugging.rst, "platform"). The stick's controller has forgotten it then."""
    pathlib.Path("/sys/module/suspend/parameters/pm_test_delay").write_text("1", encoding="ascii")
    (POWER / "pm_test").write_text("platform", encoding="ascii")
    (POWER / "state").write_text("freeze", encoding="ascii")


@lab_test(seconds=200, needs=("hardware",), usb=True)
def a_stick_is_the_guests_again_when_the_host_wakes(lab):
    if "LAB_VIRTIO_STAYS" not in os.environ:
        raise not_downloaded("this L1 would lose its root")
    if not os.environ["LAB_VIRTIO_STAYS"]:
        raise Failure("the module virtio_stays could not be made; run_lab_tests has said why")
    subprocess.run(["insmod", os.environ["LAB_VIRTIO_STAYS"]], check=True)
    machine = lab.linux("", "hardware", tablet=False, usbControllers=[{}])
    machine.run(SAY_NOTHING)
    port = stick_of_host(machine)["port"]
    machine.set_plugged(port, True)
    wait_for_disk(machine, True)
    check_file(machine)
    written = write_random(machine, "sda", 20)
    before = read_by_guest(machine)
    let_host_sleep()
    wait_in(machine, "[ -e /tmp/ended ]")
    wait_for_another(machine, before)
    check_file(machine)
    # While nobody reads: it is still mounted when it comes back.
    machine.run("mount -t ext4 -o ro /dev/sda /mnt")
    before = number_of_stick(machine)
    let_host_sleep()
    wait_in(machine, f"[ \"$(cat /sys/bus/usb/devices/2-1/devnum 2>/dev/null)\" -gt {before} ] 2>/dev/null")
    machine.run("umount /mnt")
    disk = disk_of_stick(machine)
    check_file(machine, disk)
    check_in_guest(machine, disk, 20, written)
    check_equal("driver of the host's after its sleeps", driver_of(port), "usbfs")
    check_equal("who has the stick", stick_of_host(machine)["holder"]["name"], machine.state["name"])


def may_take(user: int, device: pathlib.Path) -> bool:
    """Whoever can open its node can take it: usbfs asks for nothing else."""
    opens = "import os, sys; os.open(sys.argv[1], os.O_RDWR)"
    tried = subprocess.run([sys.executable, "-c", opens, node_of(device)], user=user, group=user, extra_groups=[],
                           cwd="/", stderr=subprocess.PIPE, text=True, check=False)
    if tried.returncode and "PermissionError" not in tried.stderr:
        raise Failure(f"{device}: {tried.stderr}")
    return tried.returncode == 0


def let_everybody_reach(file: pathlib.Path) -> None:
    """Through folders that are root's alone; in L1's overlay."""
    file.chmod(file.stat().st_mode | 0o055)
    for folder in file.parents:
        folder.chmod(folder.stat().st_mode | 0o011)


def gives_a_machine_the_stick(lab, user: int) -> None:
    """Who has the rights of everybody, to /dev/kvm, too, as udev's own rules have it, and those to the stick's node."""
    os.chmod("/dev/kvm", 0o666)
    for file in (lab.kind.program, os.environ["LAB_VMLINUX"], lab.guest("hardware") / "initrd.gz"):
        let_everybody_reach(pathlib.Path(file))
    machine = lab.linux("", "hardware", user=user, tablet=False, usbControllers=[{}])
    machine.run(SAY_NOTHING)
    told = pathlib.Path(f"/proc/{machine.process.pid}/status").read_text(encoding="ascii")
    check_equal("who runs the machine", re.search(r"^Uid:(.*)", told, re.M)[1].split(), [str(user)] * 4)
    check_equal("what else the machine may do", int(re.search(r"^CapEff:(.*)", told, re.M)[1], 16), 0)
    port = stick_of_host(machine)["port"]
    wait_until("the host's own driver has the stick", lambda: driver_of(port) == "usb-storage")
    machine.set_plugged(port, True)
    wait_until("the machine has the stick", lambda: driver_of(port) == "usbfs")
    wait_for_disk(machine, True)
    check_file(machine)
    machine.set_plugged(port, False)
    wait_for_disk(machine, False)
    disk_on_host(port)


@lab_test(seconds=240, needs=("hardware",), usb=True)
def who_sits_at_the_host_may_take_its_devices(lab):
    """The rule of our package, in udev itself; it needs nothing but those that systemd brings for all devices of a seat."""
    if "LAB_UDEV" not in os.environ:
        raise not_downloaded("this L1 has no udev")
    start_udev()
    rule = pathlib.Path(__file__).parents[3] / "packaging" / "70-chronovisor-usb.rules"
    seats = pathlib.Path(os.environ["LAB_UDEV"]) / "lib/udev/rules.d/73-seat-late.rules"
    devices = [device for device in DEVICES.iterdir() if (device / "devnum").exists()]
    hubs = [device for device in devices if (device / "bDeviceClass").read_text(encoding="ascii").strip() == "09"]
    others = [device for device in devices if device not in hubs]
    if not hubs or not others:
        raise Failure("this L1 has no USB stick; run_lab_tests gives it one")
    at_home, elsewhere = 1000, 1001
    with udev_rules(seats):
        sit_down(at_home)
        check_equal("devices without our rule", [device for device in others if may_take(at_home, device)], [])
        with udev_rules(rule):
            for user, other in (at_home, elsewhere), (elsewhere, at_home):
                sit_down(user)
                check_equal("devices", [device for device in others if may_take(user, device)], others)
                check_equal("hubs", [device for device in hubs if may_take(user, device)], [])
                check_equal("devices of another person's", [device for device in others if may_take(other, device)], [])
            sit_down(at_home)
            gives_a_machine_the_stick(lab, at_home)
            with Hand() as hand:
                hand.plug_in("usb-mouse", "mouse", bus="usb.0", port="7")
                wait_until("what is plugged in now may be taken", lambda: any(
                    may_take(at_home, device) for device in DEVICES.iterdir()
                    if (device / "devnum").exists() and device not in devices))
