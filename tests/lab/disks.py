"""File systems in files, made without root, mounts or loop devices."""

import pathlib
import subprocess
import tempfile


def make_ext4(image: pathlib.Path, mebibytes: int, content: dict[str, bytes]) -> None:
    """An ext4 file system of that size, at the beginning of an image, with these files."""
    with tempfile.TemporaryDirectory(prefix="lab-tree-") as tree:
        for name, data in content.items():
            (pathlib.Path(tree) / name).write_bytes(data)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, str(image), f"{mebibytes}M"], check=True,
                       stdout=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
