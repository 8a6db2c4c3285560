"""The mathematics: one class an op, grouped by kind, and the functions that call them."""

from ..graph import Op, TensorOp, TensorTupleOp
from .contraction import *
from .convolution import *
from .elementwise import *
from .indexing import *
from .kinds import *
from .movement import *
from .reductions import *
from .tuples import *
