"""A small disk of its own for a test: an ext4 in a file, on a loop device; and an appliance whose data is on a disk."""
import contextlib
import os
import subprocess
import sys
import tempfile

SKIP = 77
CONFIG_ON_DISK = """shards: {count: 1, idle_sleep: 100us}
data_dir: disk/data
management: {socket: ./tripline-data/control.sock}
rules: {files: [rules.yaml]}
journal: {segment_bytes: 2MiB}
"""


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Disk:
    """Mounted on `disk` in the directory. Exits with 77 where loop devices are not permitted."""

    def __init__(self, directory, mebibytes):
        self.image, self.at = tempfile.mktemp(prefix="tripline-disk-"), os.path.join(directory, "disk")
        os.makedirs(self.at, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(mebibytes << 20)
        made = run("mkfs.ext4", "-q", "-m", "0", self.image)
        found = run("losetup", "--find", "--show", self.image) if made.returncode == 0 else made
        self.device = found.stdout.strip()
        mounted = run("mount", "-o", "errors=remount-ro", self.device, self.at) if found.returncode == 0 else found
        if mounted.returncode != 0:
            print("loop devices are not permitted here: skipped:", mounted.stderr.strip())
            self.close()
            sys.exit(SKIP)

    def fill(self, leave_bytes):
        """Takes all room but so much; give it back by removing the file that is returned."""
        filler = os.path.join(self.at, "filler")
        room = os.statvfs(self.at)
        with open(filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - leave_bytes)
        return filler

    def close(self):
        run("umount", "-l", self.at)
        if self.device:
            run("losetup", "-d", self.device)
        if os.path.exists(self.image):
            os.unlink(self.image)


@contextlib.contextmanager
def gone_at_the_end(appliance, disk):
    """Neither outlives the test; one that failed shows the log."""
    os.makedirs("tripline-data", exist_ok=True)
    try:
        yield
    except BaseException:
        print(appliance.log()[-3000:])
        raise
    finally:
        if appliance.process and appliance.process.poll() is None:
            appliance.kill()
        disk.close()
