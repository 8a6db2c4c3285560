"""The course's NumPy backend: the devices of needle.device under the name that assignments import."""

from .device import Device, all_devices, cpu, cpu_numpy, default_device

__all__ = ["Device", "all_devices", "cpu", "cpu_numpy", "default_device"]
