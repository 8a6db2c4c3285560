"""Where arrays live: the devices, and the array type that the course hands out.

Inside needle arrays are plain `numpy.ndarray`s (or CuPy's, on a GPU). `NDArray` is the view that users of
`cached_data` receive: the same memory, with the one method that course code calls on it.
"""

import importlib

import numpy as np

# The C library hands freed blocks of more than 128 kB back to the system, and each of their pages costs a microsecond
# when it comes again: a third of a small convolutional net's step.  It raises that limit to the size of the largest
# block that it has seen freed.  This one is never touched, so it takes no memory.
np.empty(16 << 20, np.uint8)


class NDArray(np.ndarray):
    """A `numpy.ndarray` that also answers `.numpy()`, as arrays of the course's own backend do."""

    def numpy(self) -> np.ndarray:
        """A plain, independent copy."""
        return np.array(self)


class Device:
    """A place where arrays live.  Two devices of one kind are equal; `xp` is the module that makes their arrays."""

    name: str
    module: str

    def __repr__(self) -> str:
        return f"needle.{self.name}()"

    def __str__(self) -> str:
        return f"{self.name}()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def enabled(self) -> bool:
        """Whether arrays can be made here, on this machine, now."""
        return True

    @property
    def xp(self):
        """The array module of this device: `numpy`, or `cupy` on a GPU."""
        if not self.enabled():
            raise RuntimeError(
                f"{self} is not available: it needs an NVIDIA GPU and CuPy "
                "(pip install needle-autodiff[cuda]); use cpu()"
            )
        return importlib.import_module(self.module)

    def array(self, data, dtype=None):
        """A copy of `data` on this device, as a plain array."""
        return self.xp.array(to_numpy(data) if self.module == "numpy" else data, dtype=dtype)

    # What the course calls on a device.  Draws come from NumPy's global state, in float64, and are cast afterwards.

    def rand(self, *shape: int, dtype="float32"):
        """Uniform numbers in [0, 1)."""
        return self._hand_out(np.random.rand(*shape), dtype)

    def randn(self, *shape: int, dtype="float32"):
        """Standard normal numbers."""
        return self._hand_out(np.random.randn(*shape), dtype)

    def randb(self, *shape: int, p: float = 0.5, dtype="bool"):
        """True with probability `p`."""
        return self._hand_out(np.random.rand(*shape) <= p, dtype)

    def zeros(self, *shape: int, dtype="float32"):
        """Zeros, of a shape given as separate lengths."""
        return self.full(shape, 0, dtype)

    def ones(self, *shape: int, dtype="float32"):
        """Ones, of a shape given as separate lengths."""
        return self.full(shape, 1, dtype)

    def empty(self, shape, dtype="float32"):
        """Whatever the memory holds, of a shape given as one tuple."""
        return self._hand_out(np.empty(shape, dtype), dtype)

    def full(self, shape, fill_value, dtype="float32"):
        """`fill_value` everywhere, of a shape given as one tuple."""
        return self._hand_out(np.full(shape, fill_value, dtype), dtype)

    def one_hot(self, n: int, i, dtype="float32"):
        """Rows of the n×n identity: shape `np.shape(i) + (n,)`."""
        return self._hand_out(np.eye(n, dtype=dtype)[np.asarray(to_numpy(i)).astype(int)], dtype)

    def _hand_out(self, array, dtype):
        array = self.xp.asarray(array, dtype=dtype)
        return array.view(NDArray) if isinstance(array, np.ndarray) else array


class CPU(Device):
    name, module = "cpu", "numpy"


class CUDA(Device):
    name, module = "cuda", "cupy"

    def enabled(self) -> bool:
        try:
            cupy = importlib.import_module("cupy")
            return cupy.cuda.runtime.getDeviceCount() > 0
        except Exception:  # CuPy is missing, or its driver is: either way there is nothing to run on
            return False


_CPU, _CUDA = CPU(), CUDA()


def cpu() -> Device:
    """The processor, with NumPy's arrays."""
    return _CPU


def cpu_numpy() -> Device:
    """The course's other name for `cpu()`."""
    return _CPU


def cuda() -> Device:
    """The GPU, with CuPy's arrays.  It can be named anywhere; `cuda().enabled()` says whether there is one."""
    return _CUDA


def default_device() -> Device:
    """The device of Tensors that are made without naming one: `cpu()`."""
    return _CPU


def all_devices() -> list[Device]:
    """Every device that needle knows, enabled or not."""
    return [_CPU, _CUDA]


def as_device(device) -> Device:
    """`device` itself, the default one for None, or an error that lists what there is."""
    if device is None:
        return _CPU
    if isinstance(device, Device):
        return device
    raise TypeError(f"device must be one of {', '.join(map(str, all_devices()))}, got {device!r}")


def as_dtype(dtype) -> np.dtype:
    """`dtype`, a name or a type of numbers, as NumPy's, or an error that says what it is to be."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind not in "biufc":
        raise TypeError(f'dtype must be the name or type of numbers, such as "float32", got {dtype!r}') from None
    return found


def device_of(array) -> Device:
    """The device on which a raw array lives."""
    return _CPU if isinstance(array, np.ndarray) or not hasattr(array, "get") else _CUDA  # only CuPy's are fetched


def to_numpy(array):
    """An array of any device, brought to NumPy (a NumPy array is returned as it is)."""
    return array.get() if hasattr(array, "get") and hasattr(array, "device") else array
