"""Trees of arrays in safetensors files: `save` writes a file whole or not at all, `load` gives back what was saved.

The arrays are ordinary safetensors, named by their path in the tree ("model.layers.0.weight"), so that any program that
reads the format can read them.  How the tree hangs together, its numbers and strings, and a checksum stand in the
file's metadata.  Nothing in a file is ever executed.
"""

import importlib
import json
import os
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ..device import to_numpy
from ..graph import Tensor

Path = str | os.PathLike[str]
OWN = ("needle.tree", "needle.crc32")  # what a file says about itself in its metadata, beside the user's entries


class FileError(ValueError):
    """A file is damaged, or not of the kind that it should be, or does not fit what it is to be loaded into."""


def save(path: Path, tree: Any, metadata: Mapping[str, str] | None = None) -> None:
    """Write `tree` to a safetensors file.  If anything goes wrong, what was there under that name is still there.

    Args:
        path: of the file; its folder must exist.
        tree: Tensors, arrays, numbers, strings and None, in dicts (with strings as keys), lists and tuples.
        metadata: strings to store with it, by name (`read_metadata` reads them without the arrays).

    Raises:
        TypeError: there is something else in the tree.
        OSError: the file cannot be written.

    >>> import os, tempfile
    >>> import numpy as np
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
    >>> save(path, {"w": np.arange(3), "layers": [{"scale": 2.0}]})
    >>> load(path)
    {'w': array([0, 1, 2]), 'layers': [{'scale': 2.0}]}
    """
    metadata = dict(metadata or {})
    for name, value in metadata.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"metadata holds strings by name; got {name!r}: {value!r}")
        if name in OWN:
            raise ValueError(f"the metadata's name {name!r} is needle's own; choose another")
    arrays: dict[str, np.ndarray] = {}
    structure = json.dumps(_describe(tree, "", arrays), ensure_ascii=False)
    metadata["needle.tree"] = structure
    metadata["needle.crc32"] = _checksum(structure, arrays)
    write = _safetensors().save_file
    write_whole(path, lambda temporary: write(arrays, temporary, metadata))


def load(path: Path) -> Any:
    """What `save` wrote: Tensors come back as Tensors that do not require grad, arrays as NumPy arrays.

    A safetensors file of another program comes back as a dict of arrays by name.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: the file is damaged, or no safetensors file.
    """
    arrays, metadata = _read(path)
    structure = metadata.get("needle.tree")
    if structure is None:
        return arrays
    if metadata.get("needle.crc32") != _checksum(structure, arrays):
        raise FileError(f"{os.fspath(path)} is damaged: its checksum is not that of its contents; use another copy")
    return _rebuild(json.loads(structure), arrays)


def read_metadata(path: Path) -> dict[str, str]:
    """The strings that `save` was given as `metadata`.

    Raises: as `load`.
    """
    return {name: value for name, value in _open(path, lambda file: file.metadata() or {}).items() if name not in OWN}


def write_whole(path: Path, write: Callable[[str], None]) -> None:
    """Make the file at `path` anew with `write(temporary)`, which writes a file of that name in the same folder.

    The new file takes the old one's place in one moment, and only when all of it is on the disk: after a crash there is
    either the old file or the new one.

    Raises:
        OSError: it could not be written; the old file is as it was.
    """
    path = os.path.realpath(path)  # through a link, the file that it leads to
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"cannot write {path}: there is no folder {folder}")
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb"):  # for the permissions of a new file; those of an old one are kept
            mode = os.stat(path if os.path.exists(path) else temporary).st_mode
        write(temporary)
        os.chmod(temporary, mode)
        _flush(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            os.remove(temporary)
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            raise OSError(f"cannot write {path}, what was there is unchanged: {error}") from error
        raise
    if os.name == "posix":  # the new name is on the disk when its folder is; other systems do not open folders
        _flush(folder)


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --------------------------------------------------------------------------------------------------------------------
# Trees.  In their description a number, a string or None stands for itself, and all else is an object with one entry:
# {"dict": {…}}, {"list": […]}, {"tuple": […]}, {"array": name}, {"tensor": name}, {"complex128": name of its pairs}.


def _describe(tree: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    if tree is None or (isinstance(tree, bool | int | float | str) and not isinstance(tree, np.generic)):
        return tree
    if isinstance(tree, Mapping):
        for key in tree:
            if not isinstance(key, str):
                raise TypeError(
                    f"dicts must have strings as keys to be saved; {path or 'the tree'} has the key {key!r}"
                )
        return {"dict": {key: _describe(value, _join(path, key), arrays) for key, value in tree.items()}}
    if isinstance(tree, list | tuple):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [_describe(value, _join(path, str(i)), arrays) for i, value in enumerate(tree)]}
    if not isinstance(tree, Tensor | np.ndarray | np.generic):
        raise TypeError(
            f"Tensors, arrays, numbers, strings, dicts, lists and tuples can be saved; "
            f"{path or 'the tree'} is of type {type(tree).__name__}"
        )
    array = np.asarray(to_numpy(tree.node.data) if isinstance(tree, Tensor) else tree)
    if array.dtype.kind not in "biufc" or (array.dtype.itemsize > 8 and array.dtype != "complex128"):
        raise TypeError(f"arrays of numbers of up to 64 bits can be saved; {path or 'the tree'} is {array.dtype}")
    array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")  # a copy: the format takes raw memory
    name = path or "value"
    while name in arrays:  # {"a.b": …, "a": {"b": …}}
        name += "'"
    description: dict[str, Any] = {"tensor" if isinstance(tree, Tensor) else "array": name}
    if array.dtype.kind == "c":  # as (re, im) pairs: not all versions of the format know complex numbers
        description = {array.dtype.name: description}
        array = array[..., None].view(array.real.dtype)
    arrays[name] = array
    return description


def _rebuild(description: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(description, dict):
        return description
    ((kind, content),) = description.items()
    if kind == "dict":
        return {key: _rebuild(value, arrays) for key, value in content.items()}
    if kind == "list":
        return [_rebuild(value, arrays) for value in content]
    if kind == "tuple":
        return tuple([_rebuild(value, arrays) for value in content])
    if kind.startswith("complex"):
        ((kind, name),) = content.items()
        array = arrays[name].view("complex64" if arrays[name].itemsize == 4 else "complex128")[..., 0]
    else:
        array = arrays[content]
    return Tensor(array, requires_grad=False) if kind == "tensor" else array


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _checksum(structure: str, arrays: Mapping[str, np.ndarray]) -> str:
    total = zlib.crc32(structure.encode())
    for name in sorted(arrays):
        array = arrays[name]
        total = zlib.crc32(f"{name} {array.dtype.name} {array.shape}".encode(), total)
        if array.size:
            content: Any = array.reshape(-1).view(np.uint8)
            total = zlib.crc32(content, total)
    return f"{total:08x}"


# --------------------------------------------------------------------------------------------------------------------
# The format


def _safetensors() -> Any:
    try:
        return importlib.import_module("safetensors.numpy")
    except ImportError as error:
        raise ImportError("saving and loading need the package safetensors: pip install safetensors") from error


def _open(path: Path, read: Callable[[Any], Any]) -> Any:
    """`read(file)`, with errors that name the file."""
    name = os.fspath(path)
    safe_open = _safetensors().safe_open
    if not os.path.exists(name):
        raise FileNotFoundError(f"there is no file {name}")
    if os.path.isdir(name):
        raise IsADirectoryError(f"{name} is a folder; give the path of a safetensors file")
    try:
        with safe_open(name, framework="np") as file:
            return read(file)
    except OSError:
        raise
    except Exception as error:  # what the format's reader raises differs between its versions
        size = os.path.getsize(name)
        raise FileError(
            f"{name} ({size:,} bytes) is not a whole safetensors file: it is damaged, cut off or no such file ({error})"
        ) from error


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    def read(file):
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        return {name: a if a.flags.writeable else a.copy() for name, a in arrays.items()}, file.metadata() or {}

    return _open(path, read)
