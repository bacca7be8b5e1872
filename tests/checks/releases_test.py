#!/usr/bin/env python3
"""What a release promises is kept by something: of each one that the changelog names there are golden moments, of the demo machine, of
one with all devices on a processor of either vendor, of two with firmware, and a moment that was exported in both forms. kvm_tests has
them go on from there (GoldenMomentTest and its like take what they find). Before the first release it is the version to come."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"
LARGEST = 300 << 10


def check(folder: pathlib.Path, pattern: str) -> None:
    found = list(folder.glob(pattern))
    assert len(found) == 1, f"{folder} has {len(found)} times {pattern} (CONTRIBUTING.md, \"A release\")"
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert size <= (2 * LARGEST if folder.parent.name == "exports" else LARGEST), f"{folder} has {size} bytes"


def of_some_vendor(kind: str, name: str) -> list[pathlib.Path]:
    found = sorted((GOLDEN / kind).glob(f"{name}-*"))
    assert found, f"tests/golden/{kind} has no {name} of any vendor (CONTRIBUTING.md, \"A release\")"
    return found


def main() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = r"(\d+\.\d+\.\d+)"
    releases = re.findall(rf"^## {version}", changelog, re.M) or re.findall(
        rf"^## Unreleased \({version}\)", changelog, re.M)
    assert releases, "the changelog names no version"
    for release in releases:
        for vendor in ("amd", "intel"):
            for machine in ("", "-everything"):
                check(GOLDEN / "moments" / f"{release}{machine}-{vendor}", "timeline/moments/*.state")
        # What differs by the vendor is in those; of the others there may be one alone.
        for machine in ("seabios", "ovmf"):
            for folder in of_some_vendor("firmware", f"{release}-{machine}"):
                check(folder, "timeline/moments/*.state")
        for folder in of_some_vendor("exports", release):
            check(folder, "demo.bundle")
            check(folder, "directory.tar.zst")
    print(f"golden moments of {', '.join(releases)}")


main()
