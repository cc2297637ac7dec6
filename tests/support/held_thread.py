"""Stops one thread of a process, as a scheduler that takes its core away would: what waits for it piles up."""
import contextlib
import ctypes
import os
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000


def thread_of(process, name):
    for task in os.listdir(f"/proc/{process.pid}/task"):
        with open(f"/proc/{process.pid}/task/{task}/comm", encoding="utf-8") as comm:
            if comm.read().strip() == name:
                return int(task)
    return sys.exit(f"no thread {name}")


@contextlib.contextmanager
def held_thread(process, name):
    libc = ctypes.CDLL(None, use_errno=True)
    task = thread_of(process, name)
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if libc.ptrace(ctypes.c_long(request), ctypes.c_long(task), None, None) != 0:
            sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")
    os.waitpid(task, WALL)
    try:
        yield
    finally:
        libc.ptrace(ctypes.c_long(PTRACE_DETACH), ctypes.c_long(task), None, None)
