"""Datasets, the transforms of their images, and the loader that makes batches of Tensors from them."""

from .cifar import CIFAR10Dataset
from .datasets import Dataset, ImageDataset, NDArrayDataset, Subset, random_split
from .digits import DigitsDataset, load_digits
from .loader import DataLoader
from .mnist import MNISTDataset, read_idx
from .text import Corpus, Dictionary, batchify, get_batch
from .transforms import RandomCrop, RandomFlipHorizontal, Transform
