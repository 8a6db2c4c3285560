"""What the figures were measured on: two cores, and the versions of whatever computes on them."""

import importlib.metadata
import os
import pathlib
import platform
import re

import numpy as np

CORES = 2


def keep_to_two_cores():
    """Confine this process and its children to two cores: the one thread limit that every library obeys."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def describe():
    """One line: processor, Python, NumPy, BLAS, the peers' versions, and how busy the machine is."""
    parts = [processor(), f"Python {platform.python_version()}", f"NumPy {np.__version__}", blas()]
    for name in ("torch", "jax", "autograd"):
        try:
            parts.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    if hasattr(os, "getloadavg"):
        parts.append(f"load {os.getloadavg()[0]:.1f}")
    return ", ".join(parts)


def is_busy():
    """Whether other programs use the cores that the contenders are to run on."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > CORES / 2


def processor():
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return f"{names[0] if names else platform.processor() or platform.machine()} ({os.cpu_count()} cores)"


def blas():
    """The BLAS that NumPy calls and the kernel that it chose, which may not be the best one for the processor."""
    try:
        import threadpoolctl
    except ImportError:
        built_with = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{built_with['name']} {built_with['version']}"
    # The first BLAS loaded is NumPy's; PyTorch and SciPy bring their own later.
    for library in threadpoolctl.threadpool_info():
        if library["user_api"] == "blas":
            kernel = library.get("architecture", "unknown kernel")
            return f"{library['internal_api']} {library['version']} ({kernel}, {library['num_threads']} threads)"
    return "no BLAS found"
