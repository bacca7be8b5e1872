"""Where the fuzzers of disk images, media, kernels and firmware begin: small files of each kind that are whole."""

import struct
import zlib

CLUSTER = 512
ENTRIES = CLUSTER // 8  # of a table; so a disk of one L2 table has 64 clusters
DEFLATE, ZSTD = 0, 1
COPIED, COMPRESSED, ZERO = 1 << 63, 1 << 62, 1


def packed(method: int) -> bytes:
    """A cluster of the letter p. Zstandard's frame is written by hand (RFC 8878, 3.1.1 "Zstandard Frames"): the size of the
    content, and one block that repeats a byte."""
    if method == DEFLATE:
        stream = zlib.compressobj(wbits=-12)
        return stream.compress(b"p" * CLUSTER) + stream.flush()
    return struct.pack("<IBH", 0xfd2fb528, 0x60, CLUSTER - 256) + (1 | 1 << 1 | CLUSTER << 3).to_bytes(3, "little") + b"p"


def qcow2(version: int = 3, backing: tuple[str, str] | None = None, snapshot: bool = False, compression: int | None = None) -> bytes:
    """A disk of 32 KiB (QEMU, docs/interop/qcow2.txt): its first cluster has data, its second is zeros where the version knows
    that, its third is compressed if it shall be, and the others are those of what is below."""
    header, refcount_table, refcount_block, l1, l2, data, compressed, snapshot_l1, snapshots = range(9)
    clusters = {number: b"" for number in range(6)}
    flag = 0 if snapshot else COPIED
    entries = [data * CLUSTER | flag, ZERO if version >= 3 else 0]
    if compression is not None:
        clusters[compressed] = packed(compression)
        entries.append(compressed * CLUSTER | COMPRESSED)
    clusters[data] = b"d" * CLUSTER
    clusters[l2] = struct.pack(f">{len(entries)}Q", *entries)
    clusters[l1] = struct.pack(">Q", l2 * CLUSTER | flag)
    if snapshot:
        clusters[snapshot_l1] = struct.pack(">Q", l2 * CLUSTER)
        clusters[snapshots] = struct.pack(">QIHHIIQIIQQQ", snapshot_l1 * CLUSTER, 1, 1, 4, 1, 0, 0, 0, 24, 0, ENTRIES * CLUSTER,
                                          2**64 - 1) + b"1then"
    shared = {l2, data, compressed} if snapshot else set()
    clusters[refcount_block] = b"".join(struct.pack(">H", (number in clusters) + (number in shared and number in clusters))
                                        for number in range(max(clusters) + 1))
    clusters[refcount_table] = struct.pack(">Q", refcount_block * CLUSTER)
    zstd = compression == ZSTD
    more = struct.pack(">QQQII8B", zstd << 3, 0, 0, 4, 112, int(zstd), *bytes(7)) if version >= 3 else b""
    name_at, name = 0, b""
    if backing:
        name, said = backing[0].encode(), backing[1].encode()
        if said:
            more += struct.pack(">II", 0xe2792aca, len(said)) + said.ljust(8, b"\0")
        more += bytes(8)  # the end of the extensions
        name_at = 72 + len(more)
    clusters[header] = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, name_at, len(name), 9, ENTRIES * CLUSTER, 0, 1,
                                   l1 * CLUSTER, refcount_table * CLUSTER, 1, int(snapshot),
                                   snapshots * CLUSTER if snapshot else 0) + more + name
    return b"".join(clusters.get(number, b"").ljust(CLUSTER, b"\0") for number in range(max(clusters) + 1))


def qcow2_seeds() -> dict[str, bytes]:
    """Behind 64 bytes of requests, as qcow2_fuzzer takes them apart."""
    flush, discard, zeroes, write, read, snapshot = 0, 1, 2, 3, 5, 15

    def request(kind: int, cluster: int) -> bytes:
        return bytes([kind]) + struct.pack("<I", cluster)

    def seed(requests: bytes, image: bytes) -> bytes:
        return requests.ljust(64, b"\0")[:64] + image

    found = b"".join(request(read, cluster) for cluster in (0, 2, 63))
    writing = (request(read, 0) + request(write, 0) + request(write, 40) + request(discard, 2) + request(zeroes, 1)
               + request(read, 0) + bytes([snapshot, 4]) + request(write, 0) + request(flush, 0) + bytes([snapshot, 2, snapshot, 1])
               + request(read, 0))
    below = ("below", "raw")
    images = {"version2": qcow2(2), "version3": qcow2(), "overlay": qcow2(backing=below), "overlay2": qcow2(2, ("below", "")),
              "snapshot": qcow2(snapshot=True), "snapshot2": qcow2(2, snapshot=True), "deflate": qcow2(compression=DEFLATE),
              "deflate2": qcow2(2, compression=DEFLATE), "zstd": qcow2(compression=ZSTD),
              "everything": qcow2(backing=below, snapshot=True, compression=DEFLATE)}
    return ({name: seed(writing, image) for name, image in images.items()}
            | {f"{name}-read-only": seed(request(flush, 0) + found, image) for name, image in images.items()})


def chain_seeds() -> dict[str, bytes]:
    """Four files each, of which the first is the top."""
    raw = b"r" * 4096

    def chain(*files: bytes) -> bytes:
        return b"".join(struct.pack("<H", len(one)) + one for one in files[:3]) + files[3]

    return {
        "raw": chain(raw, b"", b"", b""),
        "one": chain(qcow2(compression=DEFLATE), b"", b"", b""),
        "on-raw": chain(qcow2(backing=("1", "raw")), raw, b"", b""),
        "four": chain(qcow2(backing=("1", "qcow2")), qcow2(2, ("2", "qcow2")), qcow2(backing=("3", "raw"), compression=ZSTD), raw),
        "unsaid": chain(qcow2(2, ("2", "")), b"", qcow2(snapshot=True), b""),
    }


def iso(*platforms: int) -> bytes:
    """A CD's volume descriptors, from its sector 16 on (ECMA-119, 8 "Volume Descriptors"), and El Torito's catalog with an
    entry for each platform that it boots."""
    sector = 2048

    def descriptor(kind: int, content: bytes = b"") -> bytes:
        return (bytes([kind]) + b"CD001\1" + content).ljust(sector, b"\0")

    volume = descriptor(1, b"\0" + b"LINUX".ljust(32) + b"Debian 12.0.0 amd64 n".ljust(32))
    if not platforms:
        return volume + descriptor(255)
    boot = descriptor(0, (b"EL TORITO SPECIFICATION".ljust(0x40, b"\0") + struct.pack("<I", 19)))
    entry = bytes([0x88, 0, 0, 0, 0, 0, 4, 0]) + struct.pack("<I", 20) + bytes(20)
    catalog = bytes([1, platforms[0]]) + bytes(28) + b"\x55\xaa" + entry
    for platform in platforms[1:]:
        catalog += bytes([0x91, platform, 1, 0]) + bytes(28) + entry
    return volume + boot + descriptor(255) + catalog.ljust(sector, b"\0")


def linux_kernel() -> bytes:
    """Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"."""
    image = bytearray(0x1000)
    image[0x1f1] = 1  # setup_sects
    struct.pack_into("<I", image, 0x1f4, (len(image) - 1024) // 16)  # syssize
    image[0x1fe:0x200] = b"\x55\xaa"
    image[0x200:0x202] = b"\xeb\x66"
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, 0x020f)
    struct.pack_into("<H", image, 0x20e, 0x80)  # the version's name
    image[0x211] = 1  # LOADED_HIGH
    struct.pack_into("<I", image, 0x214, 0x100000)
    struct.pack_into("<IIBBH", image, 0x22c, 0x7fffffff, 0x200000, 1, 21, 1)  # initrd_addr_max, alignment, relocatable, XLF_KERNEL_64
    struct.pack_into("<I", image, 0x238, 2047)
    struct.pack_into("<QI", image, 0x258, 0x100000, 0x10000)  # pref_address, init_size
    image[0x280:0x290] = b"6.1.0 (seeds)\0\0\0"
    return bytes(image)


def pvh_kernel(bits: int) -> bytes:
    """An ELF (System V ABI, "Program Header") with Xen's note that says where it is entered in 32-bit mode."""
    entry, text = 0x100000, b"\xf4" * 64
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry)
    at = 0x100
    if bits == 64:
        header = struct.pack("<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, 62, 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0)
        load = struct.pack("<IIQQQQQQ", 1, 5, at, entry, entry, len(text), len(text), 4096)
        notes = struct.pack("<IIQQQQQQ", 4, 4, at + 64, 0, 0, len(note), len(note), 4)
    else:
        header = struct.pack("<4s5B7xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 0, 0, 2, 3, 1, entry, 52, 0, 0, 52, 32, 2, 0, 0, 0)
        load = struct.pack("<IIIIIIII", 1, at, entry, entry, len(text), len(text), 5, 4096)
        notes = struct.pack("<IIIIIIII", 4, at + 64, 0, 0, len(note), len(note), 4, 4)
    return (header + load + notes).ljust(at, b"\0") + text + note


def medium_seeds() -> dict[str, bytes]:
    """What a person drops on the window. The first byte says whether it lies at the start or at sector 16."""
    disk = bytearray(4096)
    disk[0] = 0xeb
    disk[510:512] = b"\x55\xaa"
    gpt = bytearray(disk)
    gpt[512:520] = b"EFI PART"
    files = {"qcow2": qcow2(), "kernel": linux_kernel(), "pvh32": pvh_kernel(32), "pvh64": pvh_kernel(64), "disk": disk, "gpt": gpt}
    discs = {"iso": iso(), "iso-bios": iso(0), "iso-uefi": iso(0xef), "iso-both": iso(0, 0xef)}
    return ({name: b"\0" + bytes(content) for name, content in files.items()}
            | {name: b"\1" + content for name, content in discs.items()})


def kernel_seeds() -> dict[str, bytes]:
    """The first byte says to direct_boot_fuzzer of which kind the file is."""
    return {"linux": b"\0" + linux_kernel(), "pvh32": b"\1" + pvh_kernel(32), "pvh64": b"\3" + pvh_kernel(64)}


def firmware_seeds() -> dict[str, bytes]:
    """A file each as firmware_file_fuzzer takes it apart: what it is, its size, how it begins; then what a guest does."""
    firmware, variables, display = range(3)

    def file(size: int, start: bytes) -> bytes:
        return struct.pack("<IH", size, len(start)) + start

    modes = bytes(index % 4 for index in range(13)) + (struct.pack("<IQ", 0x30000, 4) + struct.pack("<IQ", 0x3fff0, 3)) * 4
    chip = b"".join(struct.pack("<BIB", kind, at, value) for kind, at, value in (
        (1, 0x1000, 0x20), (1, 0x1000, 0xd0), (1, 0x40, 0x10), (1, 0x40, 0x5a), (1, 0, 0xff), (0, 0x40, 0), (0, 0xffffffff, 0)))
    return {
        "seabios": bytes([firmware]) + file(256 << 10, b"\xea[BIOS]") + modes,
        "smallest": bytes([firmware]) + file(64 << 10, b"") + modes,
        "largest": bytes([firmware]) + file(8 << 20, b"_FVH") + modes,
        "new-variables": bytes([variables]) + struct.pack("<I", 4 << 20) + file(64 << 10, b"_FVH") + file(0, b"") + chip,
        "kept-variables": bytes([variables]) + struct.pack("<I", 4 << 20) + file(8 << 10, b"_FVH") + file(8 << 10, b"own") + chip,
        "display": bytes([display]) + file(1536, b"\x55\xaa\3"),
        "display-of-a-byte-more": bytes([display]) + file(39937, b"\x55\xaa\x4e"),
    }


def ram_file_seeds() -> dict[str, bytes]:
    """A memory file of two blocks, as ram_file_fuzzer takes it apart: of the large one nothing checks the sums until it is read."""
    flash = struct.pack("<BHI", 1, 0, 1)
    ram = struct.pack("<BHI", 1, 4, 1)  # from the second MiB on
    return {"whole": bytes([11, 2]) + flash + ram + b"\1" + bytes(88) + b"\1\1" + struct.pack("<I", 2 << 20) + b"memory" * 100}


def picture_seeds() -> dict[str, bytes]:
    """One of ours as it is, and with bytes of its header changed."""
    return {"ours": b"\1", "wider": b"\1" + struct.pack("<HB", 18, 1), "type": b"\1" + struct.pack("<HB", 25, 6)}


BY_FUZZER = {"qcow2_fuzzer": qcow2_seeds, "disk_chain_fuzzer": chain_seeds, "medium_fuzzer": medium_seeds,
             "direct_boot_fuzzer": kernel_seeds, "firmware_file_fuzzer": firmware_seeds, "ram_file_fuzzer": ram_file_seeds, "picture_fuzzer": picture_seeds}
