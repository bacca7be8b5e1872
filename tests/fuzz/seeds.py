#!/usr/bin/env python3
"""seeds.py FOLDER: where the fuzzers of JSON begin. Makes documents from the layouts that tests/golden/state promises, and from
the methods that the control socket has, at run time, so that they follow the formats. Fills FOLDER/NAME_fuzzer, and
FOLDER/NAME_fuzzer.dict with the words of the format."""

import base64
import io
import json
import pathlib
import re
import shutil
import struct
import sys
import tarfile

import image_seeds

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LAYOUTS = ROOT / "tests/golden/state"
UUID = "01234567-89ab-4cde-8f01-23456789abcd"
# What a field must hold beyond its type, so that a machine passes its checks.
MEANINGFUL = {"uuid": UUID, "name": "web", "mac": "52:54:00:12:34:56", "path": "/disk.img", "firmware": "seabios",
              "protocol": "tcp", "hostAddress": "127.0.0.1", "system": "", "initrd": "", "commandLine": "quiet"}
STEPS_OF_A_RUN = ["start", "pause", "resume", "reset", "shutdown", "suspend", "discardState", "cancel", "powerOff"]


class Layout:
    """One file of tests/golden/state: `field type options`, with braces around what is inside another."""

    def __init__(self, path: pathlib.Path):
        first, *self.lines = path.read_text(encoding="utf-8").splitlines()
        self.kind, version = first.split(" version ")
        self.version = int(version)

    def section(self, full: bool) -> dict:
        """Where `full` with something in each list and in each field that can be absent."""
        lines = iter(self.lines)
        return {"kind": self.kind, "version": self.version, "state": self._fields(lines, full)}

    def words(self) -> set[str]:
        found = {self.kind}
        for line in self.lines:
            name, *rest = line.split()
            if name != "}":
                found.add(name)
            for choices in re.findall(r"one of (\S+)", " ".join(rest)):
                found |= set(choices.split("|"))
        return found

    def _fields(self, lines, full: bool) -> dict:
        fields = {}
        for line in lines:
            words = line.split()
            if words[0] == "}":
                break
            name, words = words[0], words[1:]
            absent = "optional" in words
            words = [word for word in words if word != "optional" and not word.startswith("since=")]
            inside = self._fields(lines, full) if words[-1] == "{" else None
            if full or not absent:
                fields[name] = self._value(name, words, inside, full)
        return fields

    def _value(self, name: str, words: list[str], inside: dict | None, full: bool):
        if words[0] == "nullable":
            return self._value(name, words[1:], inside, full) if full else None
        if words[0] == "list":
            fixed = words[1] == "of"
            element = self._value(name, words[3 if fixed else 2:], inside, full)
            return [element] * (int(words[2]) if fixed else int(full))
        if words[0] == "{":
            return inside
        bounds = {key: int(value) for key, value in (word.split("=") for word in words if "=" in word)}
        if words[0] == "one":
            choices = words[2].split("|")
            return MEANINGFUL[name] if MEANINGFUL.get(name) in choices else choices[0]
        if words[0] == "bool":
            return False
        if words[0] == "string":
            return MEANINGFUL.get(name, name)[:bounds.get("max", 64)]
        if words[0] == "bytes":
            return {"base64": base64.b64encode(bytes(bounds.get("min", 0))).decode()}
        if words[0] in ("u64", "i64"):
            return {words[0]: "0"}
        return max(bounds.get("min", 0), 1 if name.endswith("Port") else 0)


def layouts() -> dict[str, Layout]:
    newest = {}
    for path in sorted(LAYOUTS.glob("*.txt"), key=lambda one: int(re.search(r"\.v(\d+)\.", one.name)[1])):
        layout = Layout(path)
        newest[layout.kind] = layout
    return newest


def machine_seeds(known: dict[str, Layout]) -> list[dict]:
    small, large = known["machine"].section(False), known["machine"].section(True)
    for section in (small, large):
        section["state"] |= {"cpus": 1, "memoryMiB": 64}
    state = large["state"]
    # Either a kernel or firmware, and names that differ.
    for number, devices in enumerate(("disks", "cds", "networks", "serials", "displays", "usbControllers", "usbDevices")):
        for device in state[devices]:
            device["id"] = f"{devices}{number}".lower()
            device |= {"parent": ""} if devices == "usbDevices" else {}
    state |= {"kernel": None, "bootOrder": [state["disks"][0]["id"]]}
    direct = json.loads(json.dumps(small))
    direct["state"] |= {"kernel": {"kernel": "/vmlinuz", "initrd": "/initrd", "commandLine": "quiet"}, "firmware": "none"}
    return [small, large, direct]


def cpu_seed(known: dict[str, Layout]) -> dict:
    """With the leaves that no CPU is without."""
    seed = known["cpu"].section(True)
    entries = seed["state"]["features"]["entries"]
    entries.append(entries[0] | {"function": 1})
    return seed


def saved_seeds(known: dict[str, Layout]) -> list[dict]:
    config = machine_seeds(known)[0]
    parts = [layout.section(full) for kind, layout in known.items() for full in (False, True)
             if kind not in ("machine", "saved-machine", "cpu")]
    whole = {"format": "chronovisor-machine-state", "formatVersion": 1, "header": known["saved-machine"].section(False),
             "config": config, "parts": [{"id": f"{part['kind']}{i}"} | part for i, part in enumerate(parts[::2])]}
    return [whole, *parts]


def timeline_record_seeds(known: dict[str, Layout]) -> list[dict]:
    """Each small file of a timeline: that of the machine, that of a moment, and what was needed of its memory first."""
    seeds = []
    for full in (False, True):
        timeline, moment = known["timeline"].section(full), known["moment"].section(full)
        moment["state"]["id"] = UUID
        for root in moment["state"]["memory"]:
            root["size"] = {"u64": "4096"}
        for disk in [*moment["state"]["disks"], *(disk for one in timeline["state"]["loose"] for disk in one["disks"])]:
            disk["checkpoint"]["id"] = UUID
        seeds += [timeline, moment]
    needed = known["working-set"].section(True)
    pieces = struct.pack("<9I", 0, 1, 2, 1, 0, 16, 0, 2047, 1)  # each a block, its first page, and how many
    needed["state"] = {"blocks": ["ram", "vram"], "pieces": {"base64": base64.b64encode(pieces).decode()}}
    return [*seeds, needed]


def control_seeds() -> list[list[dict]]:
    def request(method: str, **params) -> dict:
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    attached = [request("events.subscribe"), request("console.attach", console="serial0", position=0, run=0),
                request("machine.start", machine="web")]
    return [
        [request("host.describe"), request("machine.show", machine="web")],
        attached + [request("console.write", console="serial0", data="aGVsbG8K"), request("machine.powerOff")],
        attached + [request("machine.sendKeys", keys=["ctrl-alt-delete", "a"]), request("machine.screenshot", display="vga")],
        [request(f"machine.{step}") for step in STEPS_OF_A_RUN],
        [request("machine.start", paused=True), request("machine.statistics")],
        [request("machine.eject", drive="cd0", force=True), request("machine.insert", drive="cd0")],
    ]


def bundle_seeds() -> list[bytes]:
    """Whole but for their checksums, which come last: with a file of holes, and one that is a link."""
    files = {"state.json": b"{}", "disk0.qcow2": b"disk" * 300, "ram": b"\0" * 8192}
    record = {"kind": "bundle", "version": 1, "state": {
        "program": "seeds", "machine": "web", "moment": UUID, "name": "", "note": "", "time": {"u64": "1"},
        "files": [{"name": name, "size": {"u64": str(len(content))}} for name, content in files.items()]}}
    sums = {"kind": "bundle-end", "version": 1, "state": {"files": [
        {"name": name, "hash": {"base64": base64.b64encode(bytes(16)).decode()}} for name in ("bundle.json", *files)]}}
    whole = {"bundle.json": json.dumps(record).encode(), **files, "checksums.json": json.dumps(sums).encode()}
    seeds = []
    for kind in (tarfile.REGTYPE, tarfile.SYMTYPE):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in whole.items():
                entry = tarfile.TarInfo(name)
                if name == "ram" and kind == tarfile.SYMTYPE:
                    entry.type, entry.linkname = kind, "state.json"
                else:
                    entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        seeds.append(packed.getvalue())
    return seeds


def usb_rule_seeds() -> list[str]:
    """A file of rules, what a person says of devices, and what a saved state does."""
    rules = [{"match": {"vendor": 2385, "product": 5734, "serial": "AB12"}, "action": "attach", "machine": UUID, "name": "Stick"},
             {"match": {"class": 8, "port": "1-2.3"}, "action": "never"}, {"match": {}, "action": "ask"}]
    file = {"kind": "usb-rules", "version": 1,
            "state": {"rules": rules, "machines": [{"machine": UUID, "restore": "leave"}]}}
    return [json.dumps(file), "0951:1666,class=08,port=1-2.3,serial=A,B", "host 0951:1666 1-2.3 123456789 AB 12"]


def network_seeds() -> list[bytes]:
    """What a guest says when it starts, as user_network_fuzzer takes it apart; it makes checksums and lengths right."""
    ipv4, ipv6, arp = 0, 2, 3

    def frame(kind: int, body: bytes) -> bytes:
        return bytes([4, kind]) + len(body).to_bytes(2, "little") + body + (b"\1" if kind == ipv4 else b"")

    def packet(protocol: int, to: bytes, content: bytes) -> bytes:
        return frame(ipv4, bytes([0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 2, 15]) + to + content)

    def udp(of: int, to: int, content: bytes) -> bytes:
        return of.to_bytes(2, "big") + to.to_bytes(2, "big") + bytes(4) + content

    tcp, datagram, gateway, names, everybody = 6, 17, bytes([10, 0, 2, 2]), bytes([10, 0, 2, 3]), b"\xff" * 4
    mac = bytes.fromhex("525400010203")
    who_has = frame(arp, bytes.fromhex("0001080006040001") + mac + bytes([10, 0, 2, 15]) + bytes(6) + gateway)
    discover = packet(datagram, everybody, udp(68, 67, bytes([1, 1, 6, 0]) + bytes(24) + mac + bytes(202)
                                               + bytes.fromhex("63825363350101ff")))
    question = packet(datagram, names, udp(4000, 53, bytes.fromhex("000101000001000000000000") + b"\3www\0\0\1\0\1"))
    get = packet(datagram, gateway, udp(4001, 69, b"\0\1file\0octet\0"))
    echo = packet(1, gateway, b"\x08\0\0\0\0\1\0\1ping")
    connect = packet(tcp, gateway, bytes.fromhex("0fa2005000000001000000005002ffff00000000"))
    solicit = frame(ipv6, bytes.fromhex("6000000000183aff" "fe80000000000000505400fffe010203" "ff020000000000000000000000000002"
                                        "85000000000000000101525400010203"))
    loads, waits = bytes([0, 1, 0, 1]), bytes([1, 0xff, 0x0f])
    return [who_has + discover + question + waits, get + echo + solicit, discover + connect + waits + loads + connect]


def step_over_seeds() -> list[bytes]:
    """Instructions that are stepped over, in the kernel's 64-bit and 32-bit code: behind the processor's mode, what is under
    way, CR0, and three registers."""
    codes = ["f3480fb8c1", "66f30fbdc1", "f34d0fbcd1", "cc", "cd80", "0f01ca", "0f01c8", "0f01d0", "9b"]
    protected = 0x11
    return [bytes([mode, 0, protected]) + bytes(24) + bytes.fromhex(code) for mode in (0x11, 0x12) for code in codes]


def terminal_seeds() -> list[bytes]:
    """What programs print: colours, places, the other screen, letters of each width; between it another size of window."""
    prints = [b"\x1b[1;31mroot\x1b[0m# ls\r\n", b"\x1b[?1049h\x1b[2J\x1b[5;10Hvim\x1b[?1049l",
              b"\x1b[3;8r\x1b[2S\x1b[2T\x1b[4@\x1b[3P", "日本 e\u0301 ".encode(),
              b"\x1b]0;title\7\x1b[6n\x1b[?1000h\x1b[38;2;1;2;3m", b"line\r\n" * 40]
    smaller, feed = bytes([0, 8, 20]), 2
    fed = [bytes([feed, len(one)]) + one for one in prints]
    return [b"".join(fed), smaller.join(fed)]


def usb_pointer_seeds() -> list[bytes]:
    """Of each kind: configured, moved, a button, a wheel, and what the driver has read of it."""
    configure, absolute, relative, button, wheel, read = 1, 2, 3, 4, 5, 9
    steps = bytes([configure, absolute, 1, 2, 3, 4, relative]) + struct.pack("<2i", 300, -5) + bytes([button, 128, wheel])
    boot_protocol = bytes([0]) + bytes.fromhex("210b000000000000")
    return [bytes([kind]) + steps + struct.pack("<2i", -1, 0) + bytes([read, 8]) * 3 + boot_protocol + bytes([read, 8])
            for kind in (0, 1)]


def usb_storage_seeds() -> list[bytes]:
    """What a driver asks of a stick, as usb_storage_fuzzer takes it apart: finding out what it is, data both ways in one transfer
    and in several, a host that fails meanwhile, a restore between a command and its data, stalls and their recovery."""
    raw, reset, clear, host, restore, into, out, command = 0, 1, 2, 3, 4, 5, 7, 8
    ready, sense, inquiry, mode, capacity, read10, write10, flush, read16, capacity16 = range(10)

    def move(kind: int, size: int) -> bytes:
        return bytes([kind]) + struct.pack("<H", size)

    def ask(operation: int, length: int = 0, from_it: bool = True, cdb: str = "") -> bytes:
        return (bytes([command]) + struct.pack("<I", length) + bytes([int(from_it), operation])
                + bytes.fromhex(cdb).ljust(9, b"\0"))

    def get(operation: int, length: int, cdb: str = "", pieces: int = 1) -> bytes:
        return ask(operation, length, True, cdb) + move(into, length // pieces) * pieces + move(into, 13)

    eight, four = "000000000000000800", "000000001000000400"  # blocks, from 0 and from 16 on
    found = (get(inquiry, 36, "00000024") + ask(ready) + move(into, 13) + get(sense, 18, "00000012") + get(capacity, 8)
             + get(mode, 192, "003f00c0") + get(capacity16, 32, "10") + b"".join(
                 get(inquiry, 255, f"01{page:02x}00ff") for page in (0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2)))
    read = get(read10, 4096, eight) + get(read10, 4096, eight, 4)
    write = ask(write10, 2048, False, four) + move(out, 2048) + move(into, 13) + ask(flush) + move(into, 13)
    failing = (bytes([host, 1]) + ask(read10, 4096, True, eight) + move(into, 4096) + bytes([host, 0, restore])
               + move(into, 4096) + move(into, 13) + bytes([host, 1]) + ask(flush) + move(into, 13) + bytes([host, 0, restore])
               + move(into, 13))
    halves = (ask(write10, 2048, False, four) + move(out, 1024) + bytes([restore]) + move(out, 1024) + bytes([restore])
              + move(into, 13))
    recovery = bytes([raw, 31]) + b"\x55" * 31 + move(into, 13) + bytes([reset, clear, 0, clear, 1])
    disagree = (get(read10, 512, eight) + ask(read10, 4096, False, eight) + move(out, 4096) + move(into, 13)
                + ask(write10, 512, True, four) + move(into, 512) + bytes([clear, 1]) + move(into, 13)
                + ask(read10, 4096, True, "00ffffffff00000800") + move(into, 4096) + bytes([clear, 1]) + move(into, 13))
    attention = ask(ready) + move(into, 13)  # told first
    return [found, attention + read + write, attention + failing + halves, recovery + attention + read, attention + disagree]


def uas_storage_seeds() -> list[bytes]:
    """The same of one with streams: commands on four tags at once, in the order of the data or before it, and their end by
    the functions that manage tasks."""
    raw, manage, cancel, settle, host, restore, status, into, out, command = range(10)
    ready, sense, inquiry, mode, capacity, read10, write10, flush, read16, capacity16 = range(10)

    def step(tag: int, kind: int, rest: bytes = b"") -> bytes:
        return bytes([tag - 1, kind]) + rest

    def move(tag: int, kind: int, size: int) -> bytes:
        return step(tag, kind, struct.pack("<H", size))

    def ask(tag: int, operation: int, cdb: str = "") -> bytes:
        return step(tag, command, bytes([operation]) + bytes.fromhex(cdb).ljust(15, b"\0") + b"\1")

    def whole(tag: int, operation: int, cdb: str, kind: int = into, size: int = 0) -> bytes:
        data = move(tag, kind, size) if size else b""
        return ask(tag, operation, cdb) + data + step(tag, settle) + step(tag, status) + step(tag, settle)

    eight, four = "000000000000000800", "000000001000000400"
    found = (whole(1, ready, "") + whole(1, inquiry, "00000024", into, 36) + whole(2, capacity, "", into, 8)
             + whole(3, mode, "003f00c0", into, 192) + whole(4, capacity16, "10000000000000000000000020", into, 32)
             + whole(1, sense, "00000012", into, 18))
    attention = whole(1, ready, "")
    moved = (whole(1, read10, eight, into, 4096) + whole(2, write10, four, out, 2048) + whole(3, flush, "")
             + whole(4, read16, "00000000000000000000000008", into, 4096))
    # The driver queues where the status and the data shall go before it sends the command.
    before = b"".join(step(tag, status) + move(tag, into, 4096) for tag in (1, 2, 3, 4))
    before += b"".join(ask(tag, read10, eight) for tag in (4, 3, 2, 1)) + step(1, settle)
    pieces = (ask(1, read10, eight) + move(1, into, 2048) + step(1, settle) + step(1, restore) + move(1, into, 2048)
              + step(1, settle) + step(1, status))
    failing = (step(1, host, b"\1") + ask(1, read10, eight) + move(1, into, 4096) + step(1, settle) + step(1, host, b"\0")
               + step(1, restore) + move(1, into, 4096) + step(1, settle) + step(1, status))
    managed = b"".join(ask(2, read10, eight) + step(3, manage, bytes([function, 2])) + step(3, status)
                       for function in (0x80, 0x01, 0x81, 0x02, 0x04, 0x08, 0x10, 0x33))
    overlaps = ask(2, write10, four) * 2 + step(2, status) + step(1, raw, bytes([32, 1, 0, 0, 9]) + bytes(28))
    # Aborted while the image works on it.
    late = (ask(1, read10, eight) + move(1, into, 4096) + step(2, manage, bytes([0x01, 1])) + step(2, status)
            + step(2, settle) + step(1, cancel))
    return [found, attention + moved, attention + before + pieces, attention + failing, attention + managed + overlaps + late]


def host_usb_seeds() -> list[bytes]:
    """Devices of the host's, as host_usb_fuzzer takes them apart, and their drivers: a whole enumeration and data of each kind
    of endpoint, streams, isochronous packets with an end of their own each, requests that are cancelled, and a host that
    refuses in the middle."""
    control, bulk, interrupt, isochronous = range(4)
    submit, landed, cancelled, other = 0, 3, 6, 7
    done, failed, timed_out, cancelled_there, stalled, gone, overflowed = range(7)
    full = 256  # of an actual length: all of the transfer

    def endpoint(address: int, kind: int, size: int) -> bytes:
        return struct.pack("<BBH", address, kind, size)

    def setting(interface: int, number: int, of_class: int, *endpoints: bytes) -> bytes:
        return bytes([interface, number, of_class, len(endpoints)]) + b"".join(endpoints)

    def device(speed: int, interfaces: list[list[bytes]], answers: bytes = b"") -> bytes:
        told = b"host 1209:0001 1-2.3 123456789 AB 12"
        return (bytes([len(interfaces)]) + b"".join(bytes([len(one)]) + b"".join(one) for one in interfaces)
                + struct.pack("<BHHBB", 0, 0x1209, 1, 3, speed) + answers.ljust(32, b"\0") + bytes([len(told)]) + told)

    def ask(setup: str, length: int) -> bytes:
        request = bytes.fromhex(setup)
        return bytes([submit, control, request[0] & 0x80]) + request + bytes([length])

    def move(kind: int, address: int, length: int) -> bytes:  # for isochronous ones in 16 bytes
        return bytes([submit, kind, address & 0x80, (address & 15) - 1, length])

    def land(status: int = done, length: int = full, packets: bytes = b"", which: int = 0) -> bytes:
        return bytes([landed, which, status]) + struct.pack("<h", length) + packets

    # Behind the wLength's high byte stands which request it is: configuration, setting, halt.
    configure, alternate, clear = "0009010000000000", "010b010000000002", "0201000081000004"
    enumerated = (bytes([other, 1]) + b"".join(
        ask(setup, length) + land() for setup, length in (
            ("8006000100001200", 18), ("8006000200000900", 9), ("800600020000ff00", 255), ("800602030904ff00", 255)))
        + ask("0005010000000001", 0) + ask(configure, 0) + ask(alternate, 0))
    # An even number of endpoints, which libusb has read.
    pair = [endpoint(0x81, 2, 512), endpoint(0x02, 2, 512)]
    paced = [endpoint(0x83, 3, 8), endpoint(0x84, 1, 192)]
    data = (move(bulk, 0x02, 31) + land() + move(bulk, 0x81, 200) + land(done, 2) + move(bulk, 0x81, 13) + land(stalled)
            + ask(clear, 0) + move(bulk, 0x81, 255) + land() * 3 + move(interrupt, 0x83, 8) + move(bulk, 0x81, 9)
            + bytes([cancelled, 0]) + land(overflowed) + land(cancelled_there, 0))
    # The first sixteen go by themselves, the next eight together.
    stream = move(isochronous, 0x84, 12) * 24
    ends = bytes([done, 1, done, 2, overflowed, 0, failed, 0, done, 0, cancelled_there, 9, done, 255, timed_out, 1])
    played = (stream + land(done, 0, ends, 16) + land(done, 0, bytes([done, 12])) + land(failed, 0, bytes([done, 0]))
              + bytes([cancelled, 9]) + land(cancelled_there, 0, bytes([cancelled_there, 0]), 3) + stream)
    disk = [endpoint(0x81, 2, 1), endpoint(0x02, 2, 5), endpoint(0x83, 2, 5), endpoint(0x04, 2, 5)]
    streams = bytes([other, 0x42, other, 0x26, other, 0x02]) + data + bytes([other, 1]) + ask(alternate, 0)
    usual = [[setting(0, 0, 0xff, *pair), setting(0, 1, 0xff, *pair, *paced)], [setting(1, 0, 3)]]
    refuses = bytes([0] * 9 + [240, 0, 0, 242, 247, 0, 249, 251, 255, 0, 252])
    long = move(bulk, 0x81, 255) + land(gone) + move(bulk, 0x81, 1) + move(isochronous, 0x84, 1)
    return [device(3, usual) + enumerated + data, device(3, usual) + enumerated + played,
            device(4, [[setting(0, 0, 8, *disk), setting(0, 1, 8, *disk)]]) + enumerated + streams,
            device(3, usual, refuses) + enumerated + data + played, device(3, usual) + enumerated + long]


def usb_audio_seeds() -> list[bytes]:
    """Streams that open, play and listen, in another machine too, with what a mixer sets meanwhile."""
    anything, configure, stream, volume, restore, suspend, play, listen = range(8)
    packet = bytes([play, 192]) + bytes(range(192)) + b"\1"
    mixer = b"".join(bytes([volume, what, unit, 0x80, 0xff]) for what in (0x01, 0x42, 0xc3) for unit in range(8))
    questions = b"".join(bytes([anything]) + bytes.fromhex(setup) for setup in (
        "8006000100001200", "800600020000ff00", "a181000100020200", "a182000200020200", "a183000200020200", "a184000200020200"))
    opened = bytes([configure, stream, 1, 1, stream, 1, 2])
    return [questions + opened + packet * 3 + mixer + bytes([restore]) + packet + bytes([listen, 2, 196]) * 3 + bytes(
        [suspend, 1, suspend, 0, stream, 0, 1]) + packet]


def usb_redir_device_seeds() -> list[bytes]:
    """A good beginning of another computer's, and answers to all that is asked of it."""
    packet, data, answer, turn, hear, timers, submit, cancel, other = 1, 2, 3, 4, 5, 6, 7, 9, 10
    control, bulk, interrupt, isochronous = range(4)
    begin, settle = b"\1", bytes([turn, hear])

    def reply(status: int = 0, length: int = 255) -> bytes:
        return bytes([answer, 0, status, length, 1])

    def ask(setup: str, units: int) -> bytes:
        request = bytes.fromhex(setup)
        return bytes([submit, control, request[0]]) + request + bytes([units]) + settle + reply() + settle

    def move(kind: int, way: int, endpoint: int, units: int) -> bytes:
        return bytes([submit, kind, way, endpoint, units])

    enumerated = b"".join(ask(setup, units) for setup, units in (
        ("8006000100001200", 2), ("800600020000ff00", 15), ("0009010000000000", 0), ("010b010000000000", 0)))
    bulks = (move(bulk, 0x80, 1, 32) + settle + reply() + settle + move(bulk, 0, 1, 32) + settle + reply() + settle
             + move(bulk, 0x80, 1, 32) + settle + reply(2) + settle + move(bulk, 0x80, 1, 32) + settle + bytes([cancel, 6])
             + settle + reply(1, 9) + settle)
    told = bytes([data, 0, 0, 8]) + bytes(8) + b"\3"
    paced = (move(interrupt, 0x80, 2, 1) + settle + reply() + told + settle + bytes([timers])
             + move(isochronous, 0x80, 3, 12) * 4 + settle + reply() + bytes([1, data, 1, 0, 100]) + bytes(100) + b"\10" + settle
             + bytes([timers]) + bytes([other, 1]) + settle)
    return [begin + settle + enumerated + bulks, begin + settle + enumerated + paced + bytes([other, 0, 2]) + settle + bulks]


def medium_seeds() -> list[bytes]:
    """Volume names that libosinfo's database knows, over the first descriptor of system_database_fuzzer's CD."""
    name = 40  # ECMA-119, 8.4.7 "Volume Identifier"
    return [name.to_bytes(2, "little") + volume for volume in (b"Debian 11.0.0 amd64 n", b"Fedora-WS-Live-36-1")]


def write(folder: pathlib.Path) -> None:
    known = layouts()
    words = set().union(*(layout.words() for layout in known.values()))
    seeds = {
        "machine_config_fuzzer": [json.dumps(seed) for seed in (*machine_seeds(known), cpu_seed(known))],
        "saved_machine_fuzzer": [json.dumps(seed) for seed in saved_seeds(known)],
        "control_fuzzer": ["\n".join(map(json.dumps, seed)) for seed in control_seeds()],
        "timeline_record_fuzzer": [json.dumps(seed) for seed in timeline_record_seeds(known)],
        "usb_rules_fuzzer": usb_rule_seeds(),
    }
    spoken = {word for seed in seeds["control_fuzzer"] for word in re.findall(r'"([^"]+)"', seed)}
    for name, texts in seeds.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(texts):
            (folder / name / f"seed{number}.json").write_text(text, encoding="utf-8")
        of_it = spoken if name == "control_fuzzer" else words | {"u64", "i64", "base64", "kind", "version", "state"}
        lines = [f'"\\"{word}\\""' for word in sorted(of_it) if re.fullmatch(r"[\w .-]+", word)]
        (folder / f"{name}.dict").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, seeds_of_it in (("bundle_fuzzer", bundle_seeds()), ("user_network_fuzzer", network_seeds()),
                              ("system_database_fuzzer", medium_seeds()), ("step_over_fuzzer", step_over_seeds()),
                              ("terminal_fuzzer", terminal_seeds()), ("usb_pointer_fuzzer", usb_pointer_seeds()),
                              ("usb_storage_fuzzer", usb_storage_seeds()), ("uas_storage_fuzzer", uas_storage_seeds()),
                              ("host_usb_fuzzer", host_usb_seeds()), ("usb_audio_fuzzer", usb_audio_seeds()),
                              ("usb_redir_device_fuzzer", usb_redir_device_seeds())):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds_of_it):
            (folder / name / f"seed{number}").write_bytes(seed)
    for name, make in image_seeds.BY_FUZZER.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for of_what, seed in make().items():
            (folder / name / of_what).write_bytes(seed)


if __name__ == "__main__":
    into = pathlib.Path(sys.argv[1])
    shutil.rmtree(into, ignore_errors=True)  # what has another name now
    write(into)
