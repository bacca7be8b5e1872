"""What udev makes of a file of rules (udev(7)), as far as ours has need of it, and strictly: what is not known here is wrong.

`udevadm verify` does that since systemd 254, which not every system has."""

import fnmatch
import pathlib
import re
import typing

MATCHED = ("ACTION", "SUBSYSTEM", "KERNEL", "DRIVER", "TAG")
MATCHED_BY_NAME = ("ENV", "ATTR")  # with {NAME}
SEAT_LATE = 73  # 73-seat-late.rules gives whoever sits at the computer what has the tag "uaccess"
ITEM = re.compile(r'\s*([A-Z]+)(?:\{([^}]+)\})?\s*(==|!=|\+=|-=|:=|=)\s*"([^"]*)"\s*')


class Fault(Exception):
    """What is wrong with the file."""


class Item(typing.NamedTuple):
    key: str
    name: str | None
    operator: str
    value: str


def parse_line(line: str, number: int) -> list[Item]:
    items, at = [], 0
    while at < len(line):
        found = ITEM.match(line, at)
        if not found:
            raise Fault(f"line {number}: no KEY==\"value\" at {line[at:]!r}")
        item = Item(*found.groups())
        matches = item.operator in ("==", "!=")
        if item.key not in MATCHED + MATCHED_BY_NAME or (item.name is None) != (item.key in MATCHED):
            raise Fault(f"line {number}: there is no key {item.key}{'' if item.name is None else '{' + item.name + '}'}")
        if not matches and (item.key, item.operator) != ("TAG", "+="):
            raise Fault(f"line {number}: {item.key} {item.operator} is no match, and no tag that is added")
        items.append(item)
        at = found.end()
        if at < len(line):
            if line[at] != "," or not line[at + 1:].strip():
                raise Fault(f"line {number}: a comma, and something behind it, is missing at {line[at:]!r}")
            at += 1
    if all(item.operator == "+=" for item in items):
        raise Fault(f"line {number}: it asks nothing, so it is for everything")
    if all(item.operator != "+=" for item in items):
        raise Fault(f"line {number}: it does nothing")
    return items


def read(file: pathlib.Path) -> list[list[Item]]:
    named = re.fullmatch(r"(\d\d)-[a-z0-9-]+\.rules", file.name)
    if not named:
        raise Fault(f"{file.name}: udev reads NN-name.rules")
    rules, whole = [], ""
    for number, line in enumerate(file.read_text(encoding="ascii").splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        whole += line
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        if whole.strip():
            rules.append(parse_line(whole, number))
        whole = ""
    if whole:
        raise Fault("the last line goes on, but there is no other")
    adds = [item.value for rule in rules for item in rule if item.operator == "+="]
    if "uaccess" in adds and int(named[1]) >= SEAT_LATE:
        raise Fault(f"{file.name}: the tag comes too late for 73-seat-late.rules")
    return rules


def tags(rules: list[list[Item]], device: dict[str, str]) -> set[str]:
    """Those that a device gets: ACTION, SUBSYSTEM …, and ENV{NAME}, ATTR{NAME}. What it does not have is empty."""
    given: set[str] = set()
    for rule in rules:
        for item in rule:
            if item.operator == "+=":
                given.add(item.value)
                continue
            has = device.get(item.key if item.name is None else f"{item.key}{{{item.name}}}", "")
            # udev(7): an attribute that is not there matches nothing, whatever is asked.
            absent = item.key == "ATTR" and not has
            equal = any(fnmatch.fnmatchcase(has, pattern) for pattern in item.value.split("|"))
            if absent or equal != (item.operator == "=="):
                break
    return given
