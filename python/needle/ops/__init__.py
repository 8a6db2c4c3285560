"""The mathematics: one class an op, grouped by kind, and the functions that call them."""

from ..graph import Op, TensorOp, TensorTupleOp
from .activations import *
from .arithmetic import *
from .choices import *
from .contraction import *
from .convolution import *
from .functions import *
from .indexing import *
from .kinds import *
from .movement import *
from .powers import *
from .reductions import *
from .steps import *
from .tuples import *
