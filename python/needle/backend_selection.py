"""The course's choice of a backend by NEEDLE_BACKEND ("np" or "nd"): NumPy's arrays serve both."""

import numpy as array_api

from .device import Device, NDArray, all_devices, cpu, cuda, default_device

__all__ = ["Device", "NDArray", "all_devices", "array_api", "cpu", "cuda", "default_device"]
