"""Walks over functions: derivatives in every mode, batches, and functions with a derivative of their own."""

from ..graph import enable_grad, no_grad
from .batch import vmap
from .check import check_gradients
from .checkpoint import checkpoint
from .control import cond, fori_loop, map, scan, while_loop
from .custom import custom_gradient, custom_jvp, stop_gradient
from .forward import jvp, linearize
from .implicit import fixed_point, root
from .jacobian import hessian, hvp, jacfwd, jacobian, jacrev
from .laplacian import laplacian
from .module_call import functional_call
from .nan import detect_nan
from .op_check import check_op
from .reverse import grad, value_and_grad, vjp
from .sparse import sparse_hessian, sparse_jacobian, sparsity
from .taylor import jet, nth_derivative

__all__ = [
    "check_gradients", "check_op", "checkpoint", "cond", "custom_gradient", "custom_jvp", "detect_nan", "enable_grad",
    "fixed_point", "fori_loop",
    "functional_call", "grad", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jet", "jvp", "laplacian",
    "linearize", "map", "no_grad", "nth_derivative", "root", "scan", "sparse_hessian", "sparse_jacobian", "sparsity",
    "stop_gradient", "value_and_grad", "vjp", "vmap", "while_loop",
]  # fmt: skip
