"""What the lab downloads or builds once: Debian packages, kernels, images. Safe for several users at a time."""

import contextlib
import fcntl
import hashlib
import lzma
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

KEEP_DAYS = 14
ALL_OF_IT = ("-o", "APT::Update::Error-Mode=any")  # without it apt-get update is content with a mirror that does not answer


class LabError(Exception):
    """A sentence for the person at the keyboard."""


class DownloadError(LabError):
    """The network's fault, or a mirror's."""


def root() -> pathlib.Path:
    """CHRONOVISOR_CACHE, else the user's cache directory: shared by all checkouts and kept by a clean build."""
    chosen = os.environ.get("CHRONOVISOR_CACHE")
    base = pathlib.Path(chosen) if chosen else pathlib.Path(
        os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "chronovisor"
    base.mkdir(parents=True, exist_ok=True)
    return base.resolve()


def say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


def key(*parts) -> str:
    """A short name for what an entry is made from; pathlib paths count with their contents."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, pathlib.Path) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def locked(name: str):
    with open(root() / f".{name}.lock", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def entry(name: str, entry_key: str, build) -> pathlib.Path:
    """The directory NAME-KEY, made by build(directory) if it is not there. It appears whole or not at all."""
    final = root() / f"{name}-{entry_key}"
    if not final.is_dir():
        with locked(name):
            if not final.is_dir():
                say(f"preparing {name} (once)")
                began = time.monotonic()
                work = pathlib.Path(tempfile.mkdtemp(prefix=f".making-{name}-", dir=root()))
                work.chmod(0o755)
                try:
                    build(work)
                    work.rename(final)
                finally:
                    shutil.rmtree(work, ignore_errors=True)
                say(f"{name} is ready ({time.monotonic() - began:.0f} s)")
                forget_old(name, final)
    os.utime(final)
    return final


def forget_old(name: str, current: pathlib.Path) -> None:
    for other in root().glob(f"{name}-" + "[0-9a-f]" * 12):
        if other != current and time.time() - other.stat().st_mtime > KEEP_DAYS * 86400:
            shutil.rmtree(other, ignore_errors=True)


def run(*command, **options) -> subprocess.CompletedProcess:
    """Runs a tool quietly; if it fails, says what it said."""
    try:
        return subprocess.run([str(word) for word in command], check=True, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, **options)
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is not installed; `./dev lab` installs what the lab needs") from error
    except subprocess.CalledProcessError as error:
        words = " ".join(map(str, command[:4]))
        said = (error.stderr or error.stdout).strip()
        kind = DownloadError if "Failed to fetch" in said else LabError  # as apt says it, and mmdebstrap after it
        raise kind(f"{words} failed ({error.returncode}):\n{said}") from error


def refresh_package_lists() -> None:
    """apt's lists, fetched if this machine has none yet (a fresh container)."""
    if any(pathlib.Path("/var/lib/apt/lists").glob("*Packages*")):
        return
    say("fetching apt's package lists")
    run(*([] if os.geteuid() == 0 else ["sudo", "-n"]), "apt-get", "update", "-q", *ALL_OF_IT)


def fetch_package(package: str, directory: pathlib.Path) -> pathlib.Path:
    """Unpacks Debian's PACKAGE into directory without installing it; needs no rights."""
    refresh_package_lists()
    with tempfile.TemporaryDirectory(dir=directory) as download:
        options = ["-q", "-o", "APT::Sandbox::User="] if os.geteuid() == 0 else ["-q"]
        try:
            run("apt-get", *options, "download", package, cwd=download)
        except LabError as error:
            raise type(error)(f"the package {package} cannot be downloaded: is the network up, and are apt's lists "
                              f"current (apt-get update)?\n{error}") from error
        run("dpkg-deb", "-x", next(pathlib.Path(download).glob("*.deb")), directory)
    return directory


def debian_mirror() -> str:
    """The mirror that this machine's apt uses for bookworm, so that a mirror nearby stays in use; else Debian's own."""
    shown = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm",
                            "Created-By: Packages"], stdout=subprocess.PIPE, text=True, check=False).stdout
    return next((line for line in shown.split() if line.startswith("http")), "http://deb.debian.org/debian")


def download_from(sources: str, packages: tuple[str, ...], directory: pathlib.Path) -> None:
    """Unpacks packages of `sources` (lines of sources.list). apt's own lists and the system stay as they are; needs no rights."""
    with tempfile.TemporaryDirectory(dir=directory) as apt:
        (pathlib.Path(apt) / "lists" / "partial").mkdir(parents=True)
        listing = pathlib.Path(apt) / "sources.list"
        listing.write_text(sources, encoding="ascii")
        options = ["-q", "-o", f"Dir::Etc::sourcelist={listing}", "-o", "Dir::Etc::sourceparts=-", "-o",
                   f"Dir::State::lists={apt}/lists", "-o", f"Dir::Cache={apt}", "-o", "APT::Sandbox::User="]
        run("apt-get", *options, "update", *ALL_OF_IT, cwd=apt)
        run("apt-get", *options, "download", *packages, cwd=apt)
        for file in pathlib.Path(apt).glob("*.deb"):
            run("dpkg-deb", "-x", file, directory)


def backports(*packages: str) -> pathlib.Path:
    """These packages of bookworm-backports, unpacked."""
    sources = f"deb {debian_mirror()} bookworm-backports main\n"
    return entry(f"backports-{packages[0]}", key(packages, 1), lambda directory: download_from(sources, packages, directory))


def udev() -> pathlib.Path:
    """Debian's udev, unpacked, with the rules that systemd has for it."""
    def fetch(directory: pathlib.Path) -> None:
        for package in ("udev", "systemd"):
            fetch_package(package, directory)

    return entry("udev", key("udev", 2), fetch)


def bookworm() -> str:
    """Lines of sources.list."""
    mirror = debian_mirror()
    return (f"deb {mirror} bookworm main contrib\ndeb {mirror} bookworm-updates main contrib\n"
            "deb http://deb.debian.org/debian-security bookworm-security main\n")


def header_packages(release: str) -> tuple[str, ...]:
    return (f"linux-headers-{release}", f"linux-headers-{release.removesuffix('-amd64')}-common", "linux-kbuild-6.1")


def usable_headers(release: str, work: pathlib.Path) -> pathlib.Path:
    """The folder to build modules with, of header_packages() that lie unpacked in `work`."""
    headers = work / "usr" / "src" / f"linux-headers-{release}"
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{work}/usr/src/"))
    return headers


def module(source: pathlib.Path) -> pathlib.Path:
    """A module for L1's kernel, of this file."""
    release = newest_kernel("amd64").removeprefix("linux-image-")

    def build(directory: pathlib.Path) -> None:
        work = directory / "build"
        (work / "module").mkdir(parents=True)
        download_from(bookworm(), header_packages(release), work)
        shutil.copy(source, work / "module")
        (work / "module" / "Kbuild").write_text(f"obj-m := {source.stem}.o\n", encoding="ascii")
        run("make", "-C", usable_headers(release, work), f"M={work / 'module'}", "modules")
        (work / "module" / f"{source.stem}.ko").rename(directory / f"{source.stem}.ko")
        shutil.rmtree(work)

    return entry(f"module-{source.stem}", key(source, release, 1), build) / f"{source.stem}.ko"


def zfs() -> pathlib.Path:
    """ZFS of Debian's contrib for L1's kernel: modules/ with a file "order", and root/, the tools as they lie in a system.
    The modules are built here, which takes minutes, once for each kernel."""
    release = newest_kernel("amd64").removeprefix("linux-image-")
    tools = ("zfsutils-linux", "libzfs4linux", "libzpool5linux", "libnvpair3linux", "libuutil3linux",
             "udev")
    build_from = ("zfs-dkms", *header_packages(release))

    def build(directory: pathlib.Path) -> None:
        (directory / "root").mkdir()
        download_from(bookworm(), tools, directory / "root")
        work = directory / "build"
        work.mkdir()
        download_from(bookworm(), build_from, work)
        headers = usable_headers(release, work)
        source = next((work / "usr" / "src").glob("zfs-*"))
        run("./configure", "--with-config=kernel", f"--with-linux-obj={headers}",
            f"--with-linux={headers.parent / build_from[2]}", cwd=source)
        run("make", f"-j{os.cpu_count()}", cwd=source)
        (directory / "modules").mkdir()
        order = ("spl", "zunicode", "znvpair", "zcommon", "zavl", "zlua", "icp", "zzstd", "zfs")
        for name in order:
            run("strip", "--strip-debug", "-o", directory / "modules" / f"{name}.ko", next(source.rglob(f"{name}.ko")))
        (directory / "modules" / "order").write_text("".join(f"{name}.ko\n" for name in order), encoding="ascii")
        shutil.rmtree(work)

    return entry("zfs", key(release, tools, build_from, 1), build)


def newest_kernel(flavour: str) -> str:
    """The package that the metapackage linux-image-FLAVOUR depends on; the cached answer holds for a week."""
    remembered = root() / f"kernel-{flavour}"
    if remembered.is_file() and time.time() - remembered.stat().st_mtime < 7 * 86400:
        return remembered.read_text(encoding="ascii").strip()
    refresh_package_lists()
    for line in run("apt-cache", "depends", f"linux-image-{flavour}").stdout.splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends":
            written = remembered.with_suffix(f".{os.getpid()}")
            written.write_text(name + "\n", encoding="ascii")
            written.rename(remembered)
            return name
    raise LabError(f"apt knows no linux-image-{flavour}: the lab needs Debian's package sources")


def kernel(flavour: str) -> pathlib.Path:
    """Debian's kernel of that flavour, unpacked: vmlinuz, release (a text file), modules/lib/modules/RELEASE."""
    package = newest_kernel(flavour)
    release = package.removeprefix("linux-image-")

    def build(directory: pathlib.Path) -> None:
        unpacked = directory / "unpacked"
        unpacked.mkdir()
        fetch_package(package, unpacked)
        (unpacked / "boot" / f"vmlinuz-{release}").rename(directory / "vmlinuz")
        modules = directory / "modules" / "lib" / "modules"
        modules.mkdir(parents=True)
        (unpacked / "lib" / "modules" / release).rename(modules / release)
        shutil.rmtree(unpacked)
        run("depmod", "-b", directory / "modules", release, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
        (directory / "release").write_text(release + "\n", encoding="ascii")

    return entry(f"kernel-{flavour}", key(package, 1), build)


def vmlinux(kernel_directory: pathlib.Path) -> pathlib.Path:
    """What Debian's ordinary kernel unpacks itself to at each boot, from xz (Linux, Documentation/x86/boot.rst, "payload_offset")."""
    def build(directory: pathlib.Path) -> None:
        packed = (kernel_directory / "vmlinuz").read_bytes()
        offset, length = struct.unpack_from("<II", packed, 0x248)
        start = (packed[0x1f1] + 1) * 512 + offset  # setup_sects
        (directory / "vmlinux").write_bytes(lzma.LZMADecompressor().decompress(packed[start:start + length]))

    return entry("vmlinux", key(kernel_directory.name, 1), build) / "vmlinux"


def modules_with_dependencies(kernel_directory: pathlib.Path, names: list[str]) -> list[pathlib.Path]:
    """The files of these modules in the order in which insmod takes them; a module that is built in has none."""
    release = (kernel_directory / "release").read_text(encoding="ascii").strip()
    files: dict[pathlib.Path, None] = {}
    for name in names:
        shown = run("modprobe", "-d", kernel_directory / "modules", "-S", release, "--show-depends", name,
                    env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
        for line in shown.stdout.splitlines():
            kind, _, path = line.partition(" ")
            if kind == "insmod":
                files[pathlib.Path(path.split()[0])] = None
    return list(files)


def pack_initramfs(tree: pathlib.Path, target: pathlib.Path) -> None:
    """All of tree as a gzip-compressed cpio archive owned by root, with the same bytes for the same contents."""
    listing = "\n".join(sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))) + "\n"
    archive = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "--reproducible"], cwd=tree,
                             input=listing.encode(), stdout=subprocess.PIPE, check=True).stdout
    target.write_bytes(subprocess.run(["gzip", "-1n"], input=archive, stdout=subprocess.PIPE, check=True).stdout)
