#!/usr/bin/env python3
"""The dataplane's objects call nothing but each other, the mem* and str* functions and pure compute libraries.

Reads the undefined symbols of every object in the given static libraries: no malloc, no system call, no clock, no stdio, no
errno, no rte_*, and no thread-local storage. The one exception is the room of TLS (`--tls`): it calls OpenSSL, whose memory it
bounds by hooks that need a thread-local variable (docs/decisions/0007-tls.md). `--self-test` proves that planted offenders are
caught.
"""
import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Named one by one: strdup allocates, strerror and strtok keep state, strtod reads the locale.
LIBC = {
    "memchr", "memcmp", "memcpy", "memmem", "memmove", "memrchr", "memset",
    "strchr", "strcmp", "strlen", "strncmp", "strnlen", "strrchr", "strstr",
    "bcmp",  # what clang makes of memcmp() == 0
}
LIBRARIES = re.compile(
    r"SHA256_(Init|Update|Final|Transform)|CRYPTO_memcmp|OPENSSL_cleanse"
    r"|hs_scan"
    r"|libdeflate_\w+"
    r"|nghttp2_\w+"
)
# Of the room of TLS alone. Memory for OpenSSL is the room's own or what control gave it: it calls no malloc either.
TLS_LIBRARIES = re.compile(
    r"(SSL|SSL_CTX|BIO|X509|X509_STORE|X509_VERIFY_PARAM|EVP_PKEY|ASN1_TIME|ERR|PEM)_\w+|EVP_sha256|TLS_server_method"
    r"|CRYPTO_(set_mem_functions|malloc|zalloc|free)"
)
TLS_ONLY = "thread-local storage"
# Put there by the compiler.
TOOLCHAIN = re.compile(
    r"__stack_chk_fail|_GLOBAL_OFFSET_TABLE_"
    r"|__(asan|ubsan|tsan|msan|lsan|sancov|sanitizer|gcov|llvm)_\w+"
    r"|__start___sancov_\w+|__stop___sancov_\w+"
    r"|__u?(div|mod|divmod|mul)[dt]i[34]|__(popcount|clz|ctz)[dt]i2|__(float|fix)\w+"  # 128-bit arithmetic
)


def symbols(nm, library):
    """(undefined by object, defined) of one static library."""
    listing = subprocess.run([nm, "-P", "-A", str(library)], capture_output=True, text=True, check=True).stdout
    undefined, defined = [], set()
    for line in listing.splitlines():
        origin, _, rest = line.partition(": ")
        fields = rest.split()
        if len(fields) < 2:
            continue
        name, kind = fields[0], fields[1]
        if kind in "Uwv":
            undefined.append((origin, name))
        elif kind.isupper():
            defined.add(name)
    return undefined, defined


def thread_locals(readelf, library):
    listing = subprocess.run([readelf, "-SW", str(library)], capture_output=True, text=True, check=True).stdout
    origin = str(library)
    for line in listing.splitlines():
        if line.startswith("File: "):
            origin = line[len("File: "):]
        elif re.search(r"\s\.t(bss|data)\b", line):
            yield origin


def offenders(nm, readelf, libraries, tls=None):
    """`tls`: the library of the room that may call OpenSSL and have thread-local state."""
    undefined, defined, found = [], set(), set()
    for library in [*libraries, *([tls] if tls else [])]:
        its_undefined, its_defined = symbols(nm, library)
        undefined += [(origin, name, library == tls) for origin, name in its_undefined]
        defined |= its_defined
        if library != tls:
            found |= {(origin, TLS_ONLY) for origin in thread_locals(readelf, library)}
    for origin, name, in_tls in undefined:
        if in_tls and (TLS_LIBRARIES.fullmatch(name) or name == "__tls_get_addr"):
            continue
        if name not in defined | LIBC and not LIBRARIES.fullmatch(name) and not TOOLCHAIN.fullmatch(name):
            found.add((origin, name))
    return sorted(found)


PLANTED = {
    "malloc": "#include <stdlib.h>\nvoid *planted(void); void *planted(void) { return malloc(8); }",
    "write": "#include <unistd.h>\nlong planted(void); long planted(void) { return write(1, \"\", 0); }",
    "rte_planted": "void rte_planted(void); void planted(void); void planted(void) { rte_planted(); }",
    "__errno_location": "#include <errno.h>\nint planted(void); int planted(void) { return errno; }",
    "clock_gettime": "#include <time.h>\nvoid planted(struct timespec *t); void planted(struct timespec *t) { clock_gettime(0, t); }",
    "thread-local storage": "static __thread int kept; int planted(void); int planted(void) { return ++kept; }",
}
CLEAN = """#include <string.h>
int other(const char *);
int SHA256_Update(void *, const void *, unsigned long);
int clean(const char *a, char *b, unsigned long n);
int clean(const char *a, char *b, unsigned long n) { memmove(b, a, n); return other(a) + SHA256_Update(b, a, n); }"""
TLS = """void *SSL_new(void *);
static __thread void *kept;
void *tls(void); void *tls(void) { return kept = SSL_new(kept); }"""
OTHER = "#include <string.h>\nint other(const char *); int other(const char *a) { return (int)strlen(a); }"


def build(compiler, folder, name, sources):
    library = folder / f"lib{name}.a"
    objects = []
    for index, source in enumerate(sources):
        path = folder / f"{name}{index}.c"
        path.write_text(source)
        objects.append(str(path.with_suffix(".o")))
        subprocess.run([*compiler, "-O1", "-fPIC", "-D_GNU_SOURCE", "-c", str(path), "-o", objects[-1]], check=True)
    subprocess.run(["ar", "rcs", str(library), *objects], check=True)
    return library


def self_test(nm, readelf, compiler):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        clean, other = build(compiler, folder, "clean", [CLEAN]), build(compiler, folder, "other", [OTHER])
        if offenders(nm, readelf, [clean, other]):
            print("a clean library is refused:", offenders(nm, readelf, [clean, other]))
            failed += 1
        if [name for _, name in offenders(nm, readelf, [clean])] != ["other"]:
            print("a symbol that no given library defines is not caught")
            failed += 1
        tls = build(compiler, folder, "tls", [TLS])
        if offenders(nm, readelf, [clean, other], tls):
            print("the room of TLS is refused:", offenders(nm, readelf, [clean, other], tls))
            failed += 1
        if not {"SSL_new", TLS_ONLY} <= {name for _, name in offenders(nm, readelf, [clean, other, tls])}:
            print("OpenSSL in another room is not caught")
            failed += 1
        allocating = build(compiler, folder, "allocating", [TLS, PLANTED["malloc"]])
        if [name for _, name in offenders(nm, readelf, [clean, other], allocating)] != ["malloc"]:
            print("malloc in the room of TLS is not caught")
            failed += 1
        for number, (symbol, source) in enumerate(PLANTED.items()):
            planted = build(compiler, folder, f"planted{number}", [source])
            if symbol not in [name for _, name in offenders(nm, readelf, [clean, other, planted])]:
                print("planted and not caught:", symbol)
                failed += 1
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--readelf", default="readelf")
    parser.add_argument("--self-test", nargs="+", metavar="COMPILER", help="compiler command")
    parser.add_argument("--tls", metavar="LIBRARY", help="of the room that may call OpenSSL")
    parser.add_argument("libraries", nargs="*")
    options = parser.parse_args()
    if options.self_test:
        return 1 if self_test(options.nm, options.readelf, options.self_test) else 0
    found = offenders(options.nm, options.readelf, options.libraries, options.tls)
    for origin, name in found:
        print(f"{origin}: {name}")
    print(f"{len(options.libraries)} libraries, {len(found)} offenders")
    return 1 if found or not options.libraries else 0


if __name__ == "__main__":
    sys.exit(main())
