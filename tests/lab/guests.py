#!/usr/bin/env python3
"""guests.py [NAME...]: prepares the lab's guests and prints where they are. All are made from Debian's packages, without
mounts or loop devices, by root or not, and cached (cache.py).

  linux      Debian's cloud kernel and an initramfs with a shell     vmlinuz, initrd.gz
  hardware   the same with Debian's ordinary kernel and its drivers   vmlinuz, initrd.gz
  debian     a whole Debian on a disk, for BIOS and for UEFI          disk.raw
  installer  Debian's installer on a CD, for BIOS and for UEFI        installer.iso
"""

import os
import pathlib
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cache
from cache import run

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20
SECTOR = 512
LINUX_MODULES = ["virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng", "virtio_input",
                 "ahci", "sd_mod", "sr_mod", "ext4", "isofs", "evdev", "xhci_pci", "usb_storage", "uas", "usbhid",
                 "hid_generic", "cdc_acm", "ftdi_sio", "cdc_ether", "snd_usb_audio", "usbtest"]


def linux(name: str = "guest-linux", flavour: str = "cloud-amd64") -> pathlib.Path:
    """A kernel of Debian's, and an initramfs whose shell on the console the tests type into."""
    kernel = cache.kernel(flavour)
    # The cloud flavour has no AHCI and few input drivers: names that do not exist there are passed over.
    def build(directory: pathlib.Path) -> None:
        tree = directory / "tree"
        for folder in ("bin", "modules", "proc", "sys", "dev", "tmp", "mnt", "cd", "root", "etc"):
            (tree / folder).mkdir(parents=True)
        shutil.copy("/bin/busybox", tree / "bin" / "busybox")
        for file, script in (("guest_init", "init"), ("guest_udhcpc", "bin/udhcpc-script")):
            shutil.copy(HERE / file, tree / script)
            (tree / script).chmod(0o755)
        files: list[pathlib.Path] = []
        for module in LINUX_MODULES:
            try:
                files += cache.modules_with_dependencies(kernel, [module])
            except cache.LabError:
                continue
        files = list(dict.fromkeys(files))
        for file in files:
            shutil.copy(file, tree / "modules")
        (tree / "modules" / "order").write_text("".join(f"{file.name}\n" for file in files), encoding="ascii")
        cache.pack_initramfs(tree, directory / "initrd.gz")
        shutil.copy(kernel / "vmlinuz", directory / "vmlinuz")
        shutil.rmtree(tree)

    made_from = cache.key(HERE / "guest_init", HERE / "guest_udhcpc", kernel.name, LINUX_MODULES)
    return cache.entry(name, made_from, build)


def hardware() -> pathlib.Path:
    return linux("guest-hardware", "amd64")


# ---- Debian on a disk -------------------------------------------------------------------------------------------------

DISK_MIB, ESP_MIB, BIOS_MIB = 1400, 40, 1
FIRST_BIOS, FIRST_ESP = MIB, MIB + BIOS_MIB * MIB
FIRST_ROOT = FIRST_ESP + ESP_MIB * MIB
DEBIAN_PACKAGES = "linux-image-amd64,systemd-sysv,udev,dbus,iproute2,iputils-ping,wget,initramfs-tools,kmod"
GRUB_MODULES = ["part_gpt", "ext2", "normal", "linux", "echo", "serial", "terminal", "search", "search_label", "test"]
KERNEL_WORDS = "root=LABEL=root rw console=tty0 console=ttyS0,115200 systemd.show_status=0 quiet"


def grub_configuration(kernel: str, initrd: str, words: str) -> str:
    return (f"serial --unit=0 --speed=115200\nterminal_output console serial\nset timeout=0\n"
            f"linux {kernel} {words}\ninitrd {initrd}\nboot\n")


def make_root(directory: pathlib.Path) -> pathlib.Path:
    """The root file system as an ext4 image. Inside mmdebstrap's name space every file has its right owner."""
    image = directory / "root.ext4"
    size = DISK_MIB - FIRST_ROOT // MIB - 1
    hook = directory / "customize"
    hook.write_text(f"""#!/bin/sh
set -e
echo debian > "$1/etc/hostname"
printf '127.0.0.1 localhost debian\\n' > "$1/etc/hosts"
rm -f "$1/etc/resolv.conf" "$1/etc/apt/apt.conf.d/99mmdebstrap"
echo 'LABEL=root / ext4 defaults 0 1' > "$1/etc/fstab"
printf '[Match]\\nName=en* eth*\\n[Network]\\nDHCP=ipv4\\nLinkLocalAddressing=no\\n' > "$1/etc/systemd/network/lan.network"
chroot "$1" passwd -q -d root
chroot "$1" systemctl -q enable systemd-networkd serial-getty@ttyS0
chroot "$1" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer \\
    systemd-networkd-wait-online.service getty@tty1.service
mkdir -p "$1/etc/systemd/system/serial-getty@ttyS0.service.d"
printf '[Service]\\nExecStart=\\nExecStart=-/sbin/agetty --autologin root --noclear 115200 ttyS0 vt220\\n' \\
    > "$1/etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf"
kernel=$(cd "$1/boot" && echo vmlinuz-*)
mkdir -p "$1/boot/grub"
sed "s/RELEASE/${{kernel#vmlinuz-}}/" > "$1/boot/grub/grub.cfg" << 'END'
{grub_configuration("/boot/vmlinuz-RELEASE", "/boot/initrd.img-RELEASE", KERNEL_WORDS)}END
# Without what is mounted in there (proc, sys), seen only by this one process.
unshare --mount sh -e -c '
    cut -d" " -f2 /proc/self/mounts | grep "^$1/" | sort -r | while read -r place; do umount -l "$place"; done
    mke2fs -q -F -t ext4 -L root -E root_owner=0:0 -d "$1" "$2" "$3"
    chmod 666 "$2"' sh "$1" "{image}" {size}M
""", encoding="utf-8")
    hook.chmod(0o755)
    mode = "root" if os.geteuid() == 0 else "unshare"
    if mode == "unshare":
        directory.chmod(0o777)  # the name space's root is somebody else outside
    run("mmdebstrap", f"--mode={mode}", "--variant=minbase", f"--include={DEBIAN_PACKAGES}",
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*", f"--customize-hook={hook}", "bookworm", "/dev/null",
        f"deb {cache.debian_mirror()} bookworm main")
    return image


def place(disk: pathlib.Path, offset: int, content: bytes) -> None:
    with open(disk, "r+b") as file:
        file.seek(offset)
        file.write(content)


def install_bios_grub(disk: pathlib.Path, work: pathlib.Path) -> None:
    """What grub-install does for a GPT disk, on a file: boot.img in the first sector knows where core.img begins, and
    core.img's first sector knows where the rest of it lies. Offsets: grub-core/boot/i386/pc/boot.S and diskboot.S and
    include/grub/i386/pc/boot.h of GRUB 2.06."""
    grub = pathlib.Path("/usr/lib/grub/i386-pc")
    run("grub-mkimage", "-O", "i386-pc", "-o", work / "core.img", "-p", "(hd0,gpt3)/boot/grub", "biosdisk",
        *GRUB_MODULES)
    core = bytearray((work / "core.img").read_bytes())
    if len(core) > BIOS_MIB * MIB:
        raise cache.LabError(f"GRUB's core image has {len(core)} bytes, more than its partition")
    first = FIRST_BIOS // SECTOR
    struct.pack_into("<Q", core, SECTOR - 12, first + 1)
    place(disk, FIRST_BIOS, bytes(core))
    boot = bytearray((grub / "boot.img").read_bytes()[:440])  # the partition table behind it stays
    struct.pack_into("<Q", boot, 0x5C, first)
    boot[0x64] = 0xFF  # boot from the drive that the BIOS names
    boot[0x66:0x68] = b"\x90\x90"  # and believe it
    place(disk, 0, bytes(boot))


def make_esp(work: pathlib.Path) -> pathlib.Path:
    """An EFI system partition with GRUB at the removable path, where firmware without variables looks."""
    start = work / "start.cfg"
    start.write_text("search --label root --set=root\nconfigfile ($root)/boot/grub/grub.cfg\n", encoding="ascii")
    run("grub-mkimage", "-O", "x86_64-efi", "-o", work / "bootx64.efi", "-p", "/boot/grub", "-c", start,
        *GRUB_MODULES, "configfile", "fat", "efi_gop", "all_video")
    esp = work / "esp.fat"
    with open(esp, "wb") as file:
        file.truncate(ESP_MIB * MIB)
    run("mformat", "-i", esp, "-F", "-v", "ESP", "::")
    run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT")
    run("mcopy", "-i", esp, work / "bootx64.efi", "::/EFI/BOOT/BOOTX64.EFI")
    return esp


def debian() -> pathlib.Path:
    """A whole Debian that logs root in on the serial console. Tests must work on a copy or an overlay of disk.raw."""
    def build(directory: pathlib.Path) -> None:
        work = directory / "work"
        work.mkdir()
        root = make_root(work)
        disk = directory / "disk.raw"
        with open(disk, "wb") as file:
            file.truncate(DISK_MIB * MIB)
        table = (f"label: gpt\nstart={FIRST_BIOS // SECTOR}, size={BIOS_MIB * MIB // SECTOR}, "
                 f"type=21686148-6449-6E6F-744E-656564454649\n"
                 f"start={FIRST_ESP // SECTOR}, size={ESP_MIB * MIB // SECTOR}, type=U\n"
                 f"start={FIRST_ROOT // SECTOR}, size={root.stat().st_size // SECTOR}, type=L\n")
        subprocess.run(["sfdisk", "--quiet", str(disk)], input=table, text=True, check=True,
                       env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
        run("dd", f"if={root}", f"of={disk}", "bs=1M", f"seek={FIRST_ROOT // MIB}", "conv=notrunc,sparse")
        run("dd", f"if={make_esp(work)}", f"of={disk}", "bs=1M", f"seek={FIRST_ESP // MIB}", "conv=notrunc,sparse")
        install_bios_grub(disk, work)
        shutil.rmtree(work)

    return cache.entry("guest-debian", cache.key(pathlib.Path(__file__), cache.newest_kernel("amd64")), build)


# ---- Debian's installer -----------------------------------------------------------------------------------------------

INSTALLER_PACKAGE = "debian-installer-12-netboot-amd64"


def installer() -> pathlib.Path:
    """The installer of the netboot package on a CD that boots by BIOS and by UEFI straight into its first question."""
    def build(directory: pathlib.Path) -> None:
        work, tree = directory / "work", directory / "tree"
        work.mkdir()
        (tree / "boot" / "grub").mkdir(parents=True)
        cache.fetch_package(INSTALLER_PACKAGE, work)
        images = next(work.glob("usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"))
        shutil.copy(images / "linux", tree / "boot" / "linux")
        shutil.copy(images / "initrd.gz", tree / "boot" / "initrd.gz")
        (tree / "boot" / "grub" / "grub.cfg").write_text(
            "set timeout=0\nlinux /boot/linux vga=788 --- quiet\ninitrd /boot/initrd.gz\nboot\n", encoding="ascii")
        run("grub-mkrescue", "-o", directory / "installer.iso", tree, "--", "-volid", "INSTALLER")
        shutil.rmtree(work)
        shutil.rmtree(tree)

    return cache.entry("guest-installer", cache.key(pathlib.Path(__file__)), build)


GUESTS = {"linux": linux, "hardware": hardware, "debian": debian, "installer": installer}

if __name__ == "__main__":
    try:
        for guest in sys.argv[1:] or GUESTS:
            print(guest, GUESTS[guest]())
    except KeyError as unknown:
        sys.exit(f"lab: there is no guest {unknown}; there are {', '.join(GUESTS)}")
    except (cache.LabError, subprocess.CalledProcessError) as problem:
        sys.exit(f"lab: {problem}")
