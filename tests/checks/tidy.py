#!/usr/bin/env python3
"""tidy.py BUILD_TREE [--all]: clang-tidy-16 on the sources that differ from main (headers through who includes them)."""

import json
import os
import pathlib
import subprocess
import sys

import sources


def main(tree: pathlib.Path, everything: bool) -> int:
    commands = json.loads((tree / "compile_commands.json").read_text(encoding="utf-8"))
    compiled = {pathlib.Path(command["file"]) for command in commands}
    wanted = sources.every() if everything else sources.changed()
    headers = [str(path.relative_to(sources.ROOT)) for path in wanted if path.suffix == ".h"]
    files = {path for path in wanted if path in compiled}
    for header in headers:
        # One includer of a header is enough to check the header.
        includer = next((path for path in sources.every() if path in compiled
                         and f'#include "{header}"' in path.read_text(encoding="utf-8")), None)
        if includer and not any(f'#include "{header}"' in path.read_text(encoding="utf-8") for path in files):
            files.add(includer)
    if not files:
        print("nothing changed")
        return 0
    print(f"{len(files)} files", flush=True)
    done = subprocess.run(["xargs", "-0", "-n", "1", "-P", str(os.cpu_count()), "clang-tidy-16", "-p", str(tree),
                           "--quiet", "--extra-arg=-Wno-unknown-warning-option"],
                          input="\0".join(map(str, sorted(files))), text=True, check=False)
    return 1 if done.returncode != 0 else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), "--all" in sys.argv))
