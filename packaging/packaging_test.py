#!/usr/bin/env python3
"""packaging_test.py BUILD_TREE: what an installation puts where, and what the validators of the desktop say of our files.

Ends with `N passed, N failed, N skipped`; a validator that is not installed is a skipped test."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
INSTALLED = (
    "bin/chronovisor", "bin/chronoctl", "libexec/chronovisor-pager", "libexec/chronovisor-usb-return",
    "lib/chronovisor/systems.so", "lib/chronovisor/archive.so", "lib/chronovisor/sdl.so",
    "lib/udev/rules.d/70-chronovisor-usb.rules", "share/chronovisor/demo.elf",
    *(f"share/chronovisor/schema/{kind}.schema.json" for kind in (
        "bundle", "checksums", "cpu", "machine", "moment", "state", "timeline", "usb-rules", "working-set")),
    "share/applications/chronovisor.desktop", "share/metainfo/org.chronovisor.Chronovisor.metainfo.xml",
    "share/icons/hicolor/scalable/apps/chronovisor.svg", "share/bash-completion/completions/chronoctl",
    "share/zsh/vendor-completions/_chronoctl", "share/fish/vendor_completions.d/chronoctl.fish",
    "share/man/man1/chronovisor.1.gz", "share/man/man1/chronoctl.1.gz", "share/doc/chronovisor/copyright",
    "share/doc/chronovisor/changelog.gz", "share/lintian/overrides/chronovisor",
)
counts = {"passed": 0, "failed": 0, "skipped": 0}


def say(outcome, name, detail=""):
    counts[outcome] += 1
    print(f"{'SKIP: ' if outcome == 'skipped' else outcome + ': '}{name}{': ' + detail if detail else ''}")


def validate(name, command):
    if shutil.which(command[0]) is None:
        say("skipped", name, f"{command[0]} is not installed")
        return
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    # The one validator says nothing when all is well, the other ends with 0 in spite of warnings.
    bad = result.returncode != 0 or "warning" in result.stdout or (command[0] == "desktop-file-validate" and result.stdout)
    say("failed" if bad else "passed", name, result.stdout.strip() if bad else "")


def installs(tree):
    with tempfile.TemporaryDirectory() as prefix:
        command = ["cmake", "--install", tree, "--prefix", prefix]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if result.returncode != 0:
            say("failed", "installs", result.stdout)
            return
        found = {str(path.relative_to(prefix)) for path in pathlib.Path(prefix).rglob("*") if path.is_file()}
        missing, unknown = set(INSTALLED) - found, found - set(INSTALLED)
        differs = f"missing {sorted(missing)}, not expected {sorted(unknown)}" if missing or unknown else ""
        say("failed" if differs else "passed", "installs", differs)
        # As it is installed, with everything that it looks for beside it.
        version = subprocess.run([f"{prefix}/bin/chronoctl", "--version"], capture_output=True, timeout=60)
        say("passed" if version.returncode == 0 else "failed", "runs where it is installed", version.stderr.decode())


def main(tree):
    installs(tree)
    validate("desktop file", ["desktop-file-validate", str(HERE / "chronovisor.desktop")])
    validate("metainfo", ["appstreamcli", "validate", "--no-net", str(HERE / "org.chronovisor.Chronovisor.metainfo.xml")])
    validate("manual page", ["man", "--warnings", "--encoding=UTF-8", "-l", str(HERE / "chronovisor.1")])
    print(", ".join(f"{number} {outcome}" for outcome, number in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
