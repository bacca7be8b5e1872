"""The USB of L1: what its QEMU has, and the hand that plugs devices in and out there and types on them, from inside of L1."""

import contextlib
import json
import os
import pathlib
import random
import select
import shutil
import struct
import subprocess
import time

from disks import make_ext4

MIB = 1 << 20
STICK_SERIAL = "chronovisor-lab"
STICK_MIB, STICK_FILES_MIB = 24, 16  # behind its file system tests write as they like
CARD_NETWORK = "10.0.3"  # behind a network card of L1's: not the one that machines are in
RATE = 48000  # frames of sound a second
PORTS = pathlib.Path("/sys/class/virtio-ports")
GADGETS = pathlib.Path("/sys/kernel/config/usb_gadget")


def stick_file() -> bytes:
    """What is in the file "large" on the stick; no test writes to it."""
    return random.Random(STICK_SERIAL).randbytes(12 * MIB)


def make_stick(image: pathlib.Path) -> None:
    make_ext4(image, STICK_FILES_MIB, {"large": stick_file()})
    os.truncate(image, STICK_MIB * MIB)


def qemu_arguments(folder: pathlib.Path, heard: pathlib.Path) -> str:
    """An xHCI and an EHCI controller with nothing but a stick; what others need that are plugged in later; and two ports
    inside of L1: one leads to the monitor of its QEMU, the other to the far end of a serial adapter. Both are by way of a
    socket, for QEMU connects nothing to itself. What a sound card plays lies in LAB_HEARD."""
    for name in ("stick", "disk"):
        make_stick(folder / name)
    (folder / "phone").mkdir()
    joined = "".join(f"-chardev socket,id={name},path={folder}/{name},server=on,wait=off "
                     f"-chardev socket,id={name}-inside,path={folder}/{name} "
                     f"-device virtserialport,chardev={name}-inside,name={name} " for name in ("monitor", "line"))
    return (f"{joined} -mon chardev=monitor,mode=control -device qemu-xhci,id=usb,p2=8,p3=8 -device usb-ehci,id=ehci "
            f"-blockdev driver=raw,node-name=stick,file.driver=file,file.filename={folder}/stick "
            f"-blockdev driver=raw,node-name=disk,file.driver=file,file.filename={folder}/disk "
            f"-netdev user,id=net,restrict=on,net={CARD_NETWORK}.0/24 -audiodev wav,id=heard,path={heard},out.frequency={RATE} "
            f"-device usb-storage,id=stick,bus=usb.0,port=1,drive=stick,serial={STICK_SERIAL}")


class Line:
    """One of the two ports, line by line."""

    def __init__(self, name: str) -> None:
        port = next(port for port in PORTS.iterdir() if (port / "name").read_text(encoding="ascii").strip() == name)
        self._file = os.open(f"/dev/{port.name}", os.O_RDWR | os.O_NONBLOCK)
        self._text = b""

    def close(self) -> None:
        os.close(self._file)

    def send(self, text: str) -> None:
        os.write(self._file, text.encode() + b"\n")

    def receive(self, seconds: float) -> str:
        """"": nothing came."""
        end = time.monotonic() + seconds
        while b"\n" not in self._text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._file], [], [], left)[0]:
                return ""
            self._text += os.read(self._file, 65536)
        line, self._text = self._text.split(b"\n", 1)
        return line.decode().strip("\r")


def udevadm() -> pathlib.Path:
    return pathlib.Path(os.environ["LAB_UDEV"]) / "bin" / "udevadm"


def start_udev() -> None:
    """Who tells programs what was plugged in and out, as on any host; once for all tests."""
    daemon = pathlib.Path("/run/systemd-udevd")  # it is told from udevadm by its name
    if not daemon.exists():
        shutil.copy(udevadm(), daemon)
        subprocess.run([daemon, "--daemon"], check=True)


@contextlib.contextmanager
def udev_rules(*files: pathlib.Path):
    """udev acts on these, too, as long as that goes."""
    folder = pathlib.Path("/run/udev/rules.d")
    folder.mkdir(parents=True, exist_ok=True)
    copies = [pathlib.Path(shutil.copy(file, folder)) for file in files]
    subprocess.run([udevadm(), "control", "--reload"], check=True)
    try:
        yield
    finally:
        for copy in copies:
            copy.unlink()
        subprocess.run([udevadm(), "control", "--reload"], check=True)


def sit_down(user: int) -> None:
    """It is the one at this computer now, as far as udev asks logind (systemd, sd_seat_get_active(3))."""
    seats = pathlib.Path("/run/systemd/seats")
    seats.mkdir(parents=True, exist_ok=True)
    (seats / "seat0").write_text(f"IS_SEAT0=1\nACTIVE=1\nACTIVE_UID={user}\n", encoding="ascii")
    subprocess.run([udevadm(), "trigger", "--subsystem-match=usb", "--settle"], check=True)


class Gadget:
    """A device that L1's kernel plays, on a controller that it plays too. Its settings are files
    (Documentation/ABI/testing/configfs-usb-gadget)."""

    def __init__(self, folder: pathlib.Path, settings: dict[str, str]) -> None:
        self._folder = folder
        self._plug_in(settings)

    def come_back(self, settings: dict[str, str]) -> None:
        """It goes, and is there at once with these changed: at another address in any case."""
        self.pull_out()
        self._plug_in(settings)

    def pull_out(self) -> None:
        (self._folder / "UDC").write_text("\n", encoding="ascii")

    def _plug_in(self, settings: dict[str, str]) -> None:
        for name, value in {**settings, "UDC": "dummy_udc.0"}.items():
            (self._folder / name).write_text(value, encoding="ascii")


@contextlib.contextmanager
def gadget(function: str, module: str, attributes: dict[str, bytes], settings: dict[str, str]):
    """A device with this function is there for as long as that goes, with these and the settings that all have. The
    function's attributes are fixed once it is linked."""
    subprocess.run(["modprobe", "-a", "libcomposite", module], check=True)
    subprocess.run(["modprobe", "dummy_hcd", "is_super_speed=1"], check=True)
    if not GADGETS.parent.is_mount():
        subprocess.run(["mount", "-t", "configfs", "none", GADGETS.parent], check=True)
    folder = GADGETS / "lab"
    with contextlib.ExitStack() as undo:
        for made in (folder, folder / "strings/0x409", folder / f"functions/{function}", folder / "configs/c.1"):
            made.mkdir()
            undo.callback(made.rmdir)
        for name, value in attributes.items():
            (folder / f"functions/{function}" / name).write_bytes(value)
        link = folder / "configs/c.1" / function
        link.symlink_to(folder / f"functions/{function}")
        undo.callback(link.unlink)
        device = Gadget(folder, {"configs/c.1/MaxPower": "100", **settings})
        undo.callback(device.pull_out)
        yield device


def gadget_zero(settings: dict[str, str]):
    """What it sends and wants is a pattern, in which usbtest sees each byte that is wrong."""
    return gadget("SourceSink.0", "usb_f_ss_lb", {"pattern": b"1"}, settings)


class Pad:
    """A gamepad with two sticks that a test plays."""

    # HID Usage Tables: a game pad of the Generic Desktop Page, with buttons 1 to 16, X, Y, Rx and Ry.
    REPORTS = bytes.fromhex("0501 0905 a101 0509 1901 2910 1500 2501 7501 9510 8102 "
                            "0501 0930 0931 0933 0934 26ff00 7508 9504 8102 c0")
    REPORT = struct.Struct("<H4B")

    def play(self, buttons: int, sticks: tuple[int, ...]) -> None:
        """It is so from now on. Returns when what was before that was fetched: somebody must be reading the pad."""
        with open("/dev/hidg0", "wb", buffering=0) as file:
            file.write(self.REPORT.pack(buttons, *sticks))


@contextlib.contextmanager
def pad_of_host(maker: str, product: str):
    """It is plugged into L1 for as long as that goes."""
    attributes = {"protocol": b"0", "subclass": b"0", "report_length": str(Pad.REPORT.size).encode(), "report_desc": Pad.REPORTS}
    with gadget("hid.usb0", "usb_f_hid", attributes, {
            "idVendor": "0x1d6b", "idProduct": "0x0104", "max_speed": "high-speed",
            "strings/0x409/manufacturer": maker, "strings/0x409/product": product}):
        yield Pad()


@contextlib.contextmanager
def played(program: pathlib.Path, *words: str):
    """A device that a program plays, plugged in for as long as that goes, or until the program is killed."""
    subprocess.run(["modprobe", "vhci-hcd"], check=True)
    with subprocess.Popen([program, *words]) as device:
        try:
            yield device
        finally:
            device.kill()


class Refused(Exception):
    """What QEMU has against it."""


class Hand:
    """Of a person in front of L1: QEMU's monitor (its QMP reference has the commands)."""

    def __init__(self) -> None:
        self._line = Line("monitor")
        self._plugged: set[str] = set()
        try:
            self._do("qmp_capabilities")
        except Refused:
            pass  # an earlier hand has said so

    def __enter__(self) -> "Hand":
        return self

    def __exit__(self, *_) -> None:
        for name in [*self._plugged]:
            self.pull_out(name)
        self._line.close()

    def plug_in(self, driver: str, name: str, stays: bool = False, disk: str = "", **properties) -> None:
        """`stays`: when the hand goes; it was there when it came, or goes with its hub. `disk`: what is in it, where it is made
        of two."""
        self._do("device_add", driver=driver, id=name, **properties)
        if disk:
            self._do("device_add", driver="scsi-hd", id=f"{name}-disk", bus=f"{name}.0", drive=disk)
            self._do("qom-set", path=f"/machine/peripheral/{name}", property="attached", value=True)
        if not stays:
            self._plugged.add(name)

    def pull_out(self, name: str) -> None:
        self._do("device_del", id=name)
        self._plugged.discard(name)

    def press(self, key: str) -> None:
        self._do("send-key", keys=[{"type": "qcode", "data": key}])

    def point(self, x: int, y: int) -> None:
        self._do("input-send-event", events=[{"type": "abs", "data": {"axis": axis, "value": value}}
                                             for axis, value in (("x", x), ("y", y))])

    def _do(self, command: str, **arguments) -> None:
        self._line.send(json.dumps({"execute": command, "arguments": arguments}))
        while line := self._line.receive(20):
            answer = json.loads(line)
            if "error" in answer:
                raise Refused(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return
        raise Refused(f"{command}: the monitor does not answer")
