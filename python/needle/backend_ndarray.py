"""The course's array module: a thin face over NumPy's arrays."""

from .device import Device, NDArray, all_devices, as_device, cpu, cpu_numpy, cuda, default_device

__all__ = ["Device", "NDArray", "all_devices", "array", "cpu", "cpu_numpy", "cuda", "default_device"]


def array(a, dtype=None, device: Device | None = None) -> NDArray:
    """A copy of `a` as an `NDArray`; its dtype is kept unless another is named."""
    device = as_device(device)
    made = device.array(a, dtype=dtype)
    return made.view(NDArray) if device == cpu() else made
