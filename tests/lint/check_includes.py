#!/usr/bin/env python3
"""Who may include what: the laws of the house that include paths alone do not enforce.

`--self-test` proves that planted offenders are caught.
"""
import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from source_tree import c_files

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# What the dataplane must not even declare: it has no allocator, no system call, no clock, no errno and no thread.
DATAPLANE_FORBIDDEN = re.compile(
    r"(stdio|stdlib|unistd|time|errno|pthread|threads|fcntl|signal|locale|poll|sched|sys/.*|linux/.*|arpa/.*|netinet/.*)\.?h?"
)
# What allocates. The block functions of libcrypto (sha.h, crypto.h) are for every room.
OPENSSL_OF_TLS = re.compile(r"openssl/(ssl|bio|err|pem|x509\w*)\.h")


def inside(path, *folders):
    return any(path.is_relative_to(folder) for folder in folders)


def judge(path, angled, name):
    """The law that this include breaks, or None."""
    base = Path(name).name
    if base.startswith("rte_") and not inside(path, "drivers/dpdk", "tests/unit/dpdk", "perf"):
        return "only drivers/dpdk and perf may include DPDK"
    if name.startswith("liburing") and not inside(path, "control/journal", "tests", "perf"):
        return "only control/journal may include liburing"
    if OPENSSL_OF_TLS.fullmatch(name) and not inside(path, "dataplane/tls", "control/journal", "tests"):
        return "only dataplane/tls, and control/journal for its signing keys, may include OpenSSL beyond its block functions"
    if inside(path, "dataplane") and angled and DATAPLANE_FORBIDDEN.fullmatch(name):
        return "the dataplane has no allocator, system call, clock, errno, stdio or thread"
    return None


def offenders(root, system_include=Path("/usr/include")):
    found = []
    files = c_files(root)
    headers = defaultdict(list)
    for path in files:
        if path.suffix == ".h":
            headers[path.name].append(path)
    for name, paths in headers.items():
        if len(paths) > 1:
            found.append(f"{name}: one name, several headers: {', '.join(map(str, paths))}")
        if (system_include / name).exists():
            found.append(f"{paths[0]}: has the name of a system header")
    for path in files:
        text = (Path(root) / path).read_text()
        if path.suffix == ".h" and not text.startswith("#pragma once\n"):
            found.append(f"{path}: does not begin with #pragma once")
        for match in INCLUDE.finditer(text):
            angled, name = match[1] == "<", match[2]
            line = text.count("\n", 0, match.start(1)) + 1
            law = judge(path, angled, name)
            base = Path(name).name
            # Tests may look inside the room they test.
            if base.endswith("_internal.h") and not inside(path, "tests"):
                owners = {header.parent for header in headers.get(base, [])}
                if path.parent not in owners:
                    law = "a private header belongs to its own room"
            if law:
                found.append(f"{path}:{line}: {name}: {law}")
    return found


PLANTED = {
    "dataplane/net/a.c": '#include <rte_mbuf.h>\n',
    "control/rules/b.c": '#include "liburing.h"\n',
    "dataplane/net/c.c": '#include <stdlib.h>\n',
    "dataplane/base/d.h": '#pragma once\n  #  include <time.h>\n',
    "dataplane/http/ssl.c": "#include <openssl/ssl.h>\n",
    "control/config/certificate.c": "#include <openssl/x509v3.h>\n",
    "dataplane/http/e.c": '#include "tcp_internal.h"\n',
    "control/log/twice.h": "#pragma once\n",
    "drivers/sim/stdio.h": "#pragma once\n",
    "control/api/f.h": "/* no pragma */\n",
    "dataplane/shard/g.c": '#include <sys/socket.h>\n',
}
CLEAN = {
    "dataplane/net/tcp_internal.h": "#pragma once\n#include <stdint.h>\n#include <stdatomic.h>\n",
    "dataplane/net/tcp.c": '#include "tcp_internal.h"\n#include <string.h>\n',
    "dataplane/net/twice.h": "#pragma once\n",
    "dataplane/tls/identity.c": "#include <openssl/x509v3.h>\n#include <openssl/ssl.h>\n",
    "dataplane/ingest/signature.c": "#include <openssl/sha.h>\n",
    "drivers/dpdk/port.c": "#include <rte_ethdev.h>\n#include <stdio.h>\n",
    "control/journal/io.c": "#include <liburing.h>\n",
    "control/journal/checkpoint.c": "#include <openssl/pem.h>\n",
    "tests/unit/net/test_tcp.c": '#include "tcp_internal.h"\n#include <stdlib.h>\n',
}


def write_tree(root, files):
    for name, text in files.items():
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def self_test():
    failed = 0
    with tempfile.TemporaryDirectory() as root:
        write_tree(root, CLEAN)
        for line in offenders(root):
            print("clean and refused:", line)
            failed += 1
        write_tree(root, PLANTED)
        found = offenders(root)
        for name in PLANTED:
            if not any(name in line for line in found):
                print("planted and not caught:", name)
                failed += 1
    return failed


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    found = offenders(sys.argv[1])
    print("\n".join(found) if found else "includes are as the house wants them")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
