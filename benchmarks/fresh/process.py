"""A measurement in a fresh process, and the memory of the process that one is in."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

MEGABYTE = 1e6


@dataclass(frozen=True)
class Figure:
    """One measured number, beside the most that it should be (None where nothing was promised)."""

    task: str
    contender: str
    quantity: str
    value: float
    unit: str
    at_most: float | None = None

    @property
    def reached(self):
        return None if self.at_most is None else self.value <= self.at_most


def in_fresh_process(module, *arguments):
    """Run `python -m module arguments…` and return what it printed, as JSON, on its last line."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    # The environment is inherited, but for a variable that would have needle, not yet compiled as a package that pip
    # installs is, compiled anew at every import.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])


def resident():
    """Megabytes of memory that this process holds now."""
    return _status("VmRSS")


def peak():
    """The most megabytes that this process has held since it began."""
    return _status("VmHWM")


def _status(field):
    # Not getrusage: its maximum outlives exec, so that a child begins with its parent's.
    try:
        with open("/proc/self/status") as status:
            kilobytes = re.search(rf"{field}:\s*(\d+) kB", status.read())[1]
    except FileNotFoundError:
        raise RuntimeError(f"memory is measured through /proc, which {os.uname().sysname} does not have") from None
    return int(kilobytes) * 1024 / MEGABYTE
