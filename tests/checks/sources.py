"""Which source files there are, and which of them a change touches. Shared by the checks."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("app", "packaging", "resources", "tests", "ui", "vmm")
SUFFIXES = (".cpp", ".h", ".c")


def git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def every() -> list[pathlib.Path]:
    """All C and C++ files below our folders, tracked or not."""
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*")
                  if path.suffix in SUFFIXES and path.is_file())


def changed() -> list[pathlib.Path]:
    """Those that differ from main, or on main itself from the commit before; and what is not committed yet."""
    base = git("merge-base", "HEAD", "origin/main") or git("merge-base", "HEAD", "main")
    if not base or base == git("rev-parse", "HEAD"):
        base = git("rev-parse", "HEAD~1")
    names = git("diff", "--name-only", *base[:1]) + git("ls-files", "--others", "--exclude-standard")
    return sorted({ROOT / name for name in names} & set(every()))
