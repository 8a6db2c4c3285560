"""Arrays and training runs in safetensors files, written whole or not at all."""

from .checkpoint import load_checkpoint, save_checkpoint
from .files import FileError, load, read_metadata, save, write_whole
