"""What the test executable triplined_at_points can be told: see points/crash_points.h."""
import os
import subprocess


def points_of(program, *phases):
    """(name, when, phase) of all in these phases."""
    listed = subprocess.run([program], env={**os.environ, "CRASH_POINT": "?"}, capture_output=True, check=True, text=True).stdout
    return [point for point in (tuple(line.split()) for line in listed.splitlines()) if point[2] in phases]


def environment_of(name, when, nth):
    return {"CRASH_POINT": name, "CRASH_WHEN": when, "CRASH_NTH": str(nth)}
