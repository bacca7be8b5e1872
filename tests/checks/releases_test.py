#!/usr/bin/env python3
"""What a release promises is kept by something: of each one that the changelog names there are golden moments, of the demo machine and
of one with all devices, on a processor of either vendor, which kvm_tests has go on from there (GoldenMomentTest takes what it
finds). Before the first release it is the version to come."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "moments"


def main() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = r"(\d+\.\d+\.\d+)"
    releases = re.findall(rf"^## {version}", changelog, re.M) or re.findall(
        rf"^## Unreleased \({version}\)", changelog, re.M)
    assert releases, "the changelog names no version"
    for release in releases:
        for name in (f"{release}{machine}-{vendor}" for machine in ("", "-everything") for vendor in ("amd", "intel")):
            moments = list((GOLDEN / name / "timeline" / "moments").glob("*.state"))
            assert len(moments) == 1, f"tests/golden/moments/{name} has {len(moments)} moments (CONTRIBUTING.md, \"A release\")"
    print(f"golden moments of {', '.join(releases)}")


main()
