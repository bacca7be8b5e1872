#!/usr/bin/env python3
"""ordinary_user_test.py KVM_TESTS VMM_TESTS: some of the tests of moments as a user without any rights but those to
/dev/kvm and /dev/fuse, as the group kvm and a desktop give them. The kernel does not wait for such a user's memory
(userfaultfd), so that it comes from the pager: what the tests that run as root never need."""

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

NOBODY = "65534"
AS_NOBODY = "setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps=-all"
SKIPPED = 77
# In a mount namespace of its own: device nodes that everybody may open, and a place for files.
PREPARE = """
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mknod -m 666 "$1/kvm" c 10 232
mknod -m 666 "$1/fuse" c 10 229
mount --bind "$1/kvm" /dev/kvm
mount --bind "$1/fuse" /dev/fuse
mkdir -m 777 "$1/tmp"
shift
exec "$@"
"""


def skip(reason: str) -> None:
    print(f"CHRONOVISOR-SKIP: {reason}")
    sys.exit(SKIPPED)


def main() -> int:
    kvm_tests, vmm_tests = (pathlib.Path(name).resolve() for name in sys.argv[1:])
    if os.geteuid() != 0:
        skip("all tests run as an ordinary user here")
    for device in ("/dev/kvm", "/dev/fuse"):
        if not os.path.exists(device):
            skip(f"there is no {device}")
    if pathlib.Path("/proc/sys/vm/unprivileged_userfaultfd").read_text().strip() != "0":
        skip("the kernel waits for everybody's memory here")
    for what, *command in (("nobody may look into its folder", *AS_NOBODY, "test", "-x", kvm_tests),
                           ("no mounts of its own", "unshare", "--mount", "--propagation", "private", "true")):
        tried = subprocess.run(command, cwd="/", stderr=subprocess.PIPE, text=True)
        if tried.returncode != 0:
            skip(f"{what}: {tried.stderr.strip()}")
    statuses = set()
    for program, *arguments in ((vmm_tests, "PagerTest"), (vmm_tests, "ForkedMemoryTest"),
                                (kvm_tests, "MomentTest", "backAndForth", "computationGoesOnFromEachMoment")):
        with tempfile.TemporaryDirectory() as place:
            try:
                run = subprocess.run(
                    ["unshare", "--mount", "--propagation", "private", "sh", "-c", PREPARE, "sh", place, *AS_NOBODY,
                     "env", "CHRONOVISOR_ORDINARY_USER=1", f"TMPDIR={place}/tmp", f"HOME={place}/tmp",
                     "QT_QPA_PLATFORM=offscreen", program, *arguments],
                    cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            except FileNotFoundError as missing:
                skip(str(missing))
        print(f"$ {shlex.join(map(str, (program.name, *arguments)))}\n{run.stdout}ended with {run.returncode}\n", flush=True)
        statuses.add(run.returncode)
    if statuses - {0, SKIPPED}:
        return 1
    return min(statuses)  # 0, unless all of them were skipped


if __name__ == "__main__":
    sys.exit(main())
