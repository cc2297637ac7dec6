"""Gets the peers that Debian does not carry into a cache: pinned by lock files, from PyPI, npm and the Go module proxy. What is
there already is not fetched again, and no network is touched for it."""
import hashlib
import os
import re
import shutil
import subprocess
import sys

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
GO_PROGRAMS = {"export": "./export", "collector": "./collector",
               "telemetrygen": "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen"}
# What pip, npm and go say when they cannot reach their registry; a wrong hash or version is none of these.
UNREACHABLE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|no such host|[Nn]etwork is unreachable|connection refused"
    r"|i/o timeout|Temporary failure in name resolution|NewConnectionError|ConnectTimeout|Read timed out|TLS handshake timeout")


class Missing(Exception):
    """This machine cannot have the peer now: a reason to skip, not to fail."""


def run(command, **options):
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800, **options)
    if done.returncode == 0:
        return
    if UNREACHABLE.search(done.stdout):
        raise Missing(f"the registry does not answer {os.path.basename(command[0])}")
    sys.exit(f"{' '.join(command)}:\n{done.stdout[-4000:]}")


def once(directory, sources, make):
    """Calls `make` unless `directory` was made of these sources before."""
    digest = hashlib.sha256()
    for path in sources:
        with open(path, "rb") as file:
            digest.update(file.read())
    stamp = os.path.join(directory, "made-of")
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as file:
            if file.read() == digest.hexdigest():
                return
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    make()
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(digest.hexdigest())


def virtual_environment(directory, *requirements):
    """Makes it, and installs one list after the other."""
    interpreter = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    if subprocess.run([interpreter, "-c", "import ensurepip"], check=False, capture_output=True).returncode != 0:
        raise Missing(f"{interpreter} makes no virtual environments: python3-venv is not installed")
    program = os.path.join(directory, "bin/python3")

    def make():
        run([interpreter, "-m", "venv", directory])
        for number, path in enumerate(requirements):
            built = ["--no-build-isolation"] if number else []  # with what the list before brought
            run([program, "-m", "pip", "install", "--quiet", "--require-hashes", "--retries", "1", *built, "-r", path])

    once(directory, requirements, make)
    return program


def python(cache):
    """The command that runs the Python SDK's program."""
    source = os.path.join(PEERS, "python")
    program = virtual_environment(os.path.join(cache, "python"), os.path.join(source, "requirements.txt"))
    return [program, os.path.join(source, "export.py")]


def formats(cache):
    """A virtual environment with the clients of Zipkin and Jaeger."""
    directory, source = os.path.join(cache, "formats"), os.path.join(PEERS, "../formats")
    virtual_environment(directory, os.path.join(source, "build-requirements.txt"), os.path.join(source, "requirements.txt"))
    return directory


def javascript(cache):
    """The command that runs the JavaScript SDK's program."""
    directory, source = os.path.join(cache, "javascript"), os.path.join(PEERS, "javascript")
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing("node and npm are not installed")
    files = [os.path.join(source, name) for name in ("package.json", "package-lock.json", "export.js")]

    def make():
        for path in files:
            shutil.copy(path, directory)
        run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"], cwd=directory)

    once(directory, files, make)
    return ["node", os.path.join(directory, "export.js")]


def go(cache, name):
    """A program of the Go module in peers/go."""
    directory, source = os.path.join(cache, "go"), os.path.join(PEERS, "go")
    if not shutil.which("go"):
        raise Missing("Go is not installed")
    with open(os.path.join(source, "go.mod"), encoding="utf-8") as file:
        wanted = re.search(r"^go (\d+)\.(\d+)", file.read(), re.MULTILINE)
    found = re.search(r"go(\d+)\.(\d+)", subprocess.run(["go", "version"], check=True, capture_output=True, text=True).stdout)
    if tuple(map(int, found.groups())) < tuple(map(int, wanted.groups())):
        raise Missing(f"Go {'.'.join(wanted.groups())} is needed, this is {found.group(0)}")
    files = [os.path.join(source, path) for path in ("go.mod", "go.sum", "export/main.go", "collector/main.go")]
    environment = dict(os.environ, GOMODCACHE=os.path.join(cache, "go-modules"), GOCACHE=os.path.join(cache, "go-build"),
                       GOFLAGS="-mod=readonly -modcacherw -trimpath -buildvcs=false", GOTOOLCHAIN="local", CGO_ENABLED="0")

    def make():
        for package in GO_PROGRAMS.values():
            run(["go", "build", "-o", directory + "/", package], cwd=source, env=environment)

    once(directory, files, make)
    return [os.path.join(directory, name)]
