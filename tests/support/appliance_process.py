"""The daemon as a process, for tests against real peers: started in a directory of its own inside a network namespace, asked by
metrics and by the CLI."""
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

METRICS_URL = "http://127.0.0.1:9464/metrics"
checks = 0


def expect(what, found, wanted):
    global checks
    checks += 1
    if found != wanted:
        sys.exit(f"{what}: {found!r}, expected {wanted!r}")


def expect_true(what, holds):
    expect(what, bool(holds), True)


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def scrape():
    """The lines of the metrics, once every shard's are of now: on a machine with other work a shard may be away for a second."""
    for _ in range(30):
        lines = fetch(METRICS_URL).splitlines()
        if all(line.endswith(" 1") for line in lines if line.startswith("tripline_shard_answers{")):
            return lines
    return sys.exit("a shard does not answer")


def metric(name, **labels):
    """The sum over all series of the family that have these labels."""
    total = 0
    for line in scrape():
        if line.split("{")[0].split(" ")[0] == name and all(f'{key}="{value}"' in line for key, value in labels.items()):
            total += float(line.rsplit(" ", 1)[1])
    return int(total)


def wait_for(what, condition, seconds=30, pause_seconds=0.1):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(pause_seconds)
    sys.exit(f"{what}: not within {seconds} s")


def enter_namespace(mark):
    """Starts this program again in a network namespace of its own; exits with 77 where that is not permitted."""
    if os.environ.get(mark) == "inside":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], check=False).returncode != 0:
        print("network namespaces are not permitted here: skipped")
        sys.exit(77)
    os.environ[mark] = "inside"
    os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])


def ask_neighbours_again():
    """For a wire that loses frames: the kernel gives a host up after three unanswered questions, here after twenty."""
    for family in ("ipv4", "ipv6"):
        for kind in ("mcast_solicit", "ucast_solicit"):
            with open(f"/proc/sys/net/{family}/neigh/trip0/{kind}", "w", encoding="ascii") as file:
                file.write("20")


class Appliance:
    """With the files of `config/` beside its configuration. Use as a context: it is started, if it was not, and ends in order
    and with exit code 0."""

    def __init__(self, triplined, tripline, source, configuration, files=None):
        self.triplined, self.tripline = os.path.abspath(triplined), os.path.abspath(tripline)
        self.directory = tempfile.mkdtemp(prefix="tripline-test-")
        self.process = None
        atexit.register(self._leave_none)
        os.chdir(self.directory)
        os.symlink(os.path.join(os.path.abspath(source), "config"), "config")
        for name, content in {"appliance.yaml": configuration, **(files or {})}.items():
            with open(name, "w", encoding="utf-8") as file:
                file.write(content)

    def _leave_none(self):
        """A test that fails leaves no daemon: who runs it would wait for the pipe that the daemon holds."""
        if self.process and self.process.poll() is None:
            self.kill()

    def spawn(self, environment=None):
        """Starts it without waiting for anything."""
        with open("daemon.log", "ab") as log:
            self.process = subprocess.Popen([self.triplined, "--config", "appliance.yaml"], stderr=log, env={**os.environ, **(environment or {})})

    def start(self, ready_url="http://127.0.0.1:9464/readyz"):
        self.spawn()
        wait_for("ready", lambda: self.is_ready(ready_url), 60, pause_seconds=0.02)
        return self

    def is_ready(self, ready_url):
        if self.process.poll() is not None:
            sys.exit("the daemon ended:\n" + self.log()[-4000:])
        return fetch(ready_url)

    def log(self):
        with open(os.path.join(self.directory, "daemon.log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=20)

    def run_cli(self, *arguments, **options):
        return subprocess.run([self.tripline, "-s", "tripline-data/control.sock", *arguments], capture_output=True, check=False,
                              timeout=300, cwd=self.directory, **options)

    def violations(self, *filters):
        result = self.run_cli("violations", "list", *filters, "--limit", "1000000", "-o", "json")
        expect("exit code of the list", (result.returncode, result.stderr), (0, b""))
        return json.loads(result.stdout)["violations"]

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, kind, _value, _trace):
        code = self.stop() if self.process.poll() is None else self.process.returncode
        if kind is not None:
            print(self.log()[-4000:])
            print(f"kept: {self.directory}")
            return
        expect("exit code of the daemon", code, 0)
        os.chdir("/")
        shutil.rmtree(self.directory)
