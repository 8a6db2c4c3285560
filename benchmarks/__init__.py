"""How fast needle is, and how much memory it takes, beside its peers: `python -m benchmarks`."""

import os

# Thread counts are read once, when NumPy, PyTorch or XLA is first imported: they are set before any of them is.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_variable, "2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
