"""Small disks that fill up: a tmpfs where this process may mount one, else a limit on files."""

from __future__ import annotations

import contextlib
import resource
import subprocess
from pathlib import Path

FULL_FILE = "full"


class SmallDisk:
    """`fill()` and `free()` for the files of a program below `directory`."""

    def __init__(self, directory):
        self.directory = directory

    def fill(self, pid):
        """Leave no room for another file; what has its room may be written in place."""
        with (self.directory / FULL_FILE).open("wb", buffering=0) as stream:
            for piece in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        stream.write(bytes(piece))

    def free(self, pid):
        (self.directory / FULL_FILE).unlink(missing_ok=True)


class LimitedFiles:
    """The same by RLIMIT_FSIZE: no file of the program grows."""

    def __init__(self, directory):
        self.directory = directory

    def fill(self, pid):
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, most))

    def free(self, pid):
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


@contextlib.contextmanager
def small_disk(directory: Path, size="24m"):
    """Yield a small disk mounted at `directory`."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        yield LimitedFiles(directory)
        return
    try:
        yield SmallDisk(directory)
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
