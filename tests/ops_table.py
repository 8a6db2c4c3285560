"""The table of ops: one row a public function or op class of `needle.ops`, with the cases on which it is checked.

Rows only describe: shapes, domains, keywords, what NumPy says, what kind of function it is.  How a row is checked is
the business of the tests: `test_ops.py` for values and reverse mode, others for other walks.

    for row, case in cases():
        arrays = case.draw(np.random.default_rng(0))        # NumPy arrays in the case's domains
        out = row.call(case, *map(ndl.Tensor, arrays))      # what needle says
        expected = row.expect(case, *arrays)                # what NumPy says

To add an op: add a row.  A public name of `needle.ops` without one fails the suite.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ops_reference as ref
from scipy import special

import needle as ndl
from needle.ops import PLACE

# --------------------------------------------------------------------------------------------------------------------
# The columns


@dataclass(frozen=True)
class Argument:
    """An array of `shape` with elements drawn from `domain` (a key of DOMAINS, or "below n" for integers in [0, n))."""

    shape: tuple[int, ...]
    domain: str = "real"

    @property
    def differentiable(self) -> bool:
        return self.domain != "bool" and not self.domain.startswith("below")

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        if self.domain.startswith("below"):
            return rng.integers(0, int(self.domain.split()[1]), self.shape)
        return np.asarray(DOMAINS[self.domain](rng, self.shape))


def _signs(rng, shape):
    return rng.choice([-1.0, 1.0], shape)


# Kinks (relu at 0, max at a tie) lie at least 0.05 from what these draw, so differences do not straddle them.
DOMAINS: dict[str, Callable] = {
    "real": lambda rng, shape: rng.normal(size=shape),
    "positive": lambda rng, shape: rng.uniform(0.5, 2.0, shape),
    "nonzero": lambda rng, shape: rng.uniform(0.5, 2.0, shape) * _signs(rng, shape),
    "small": lambda rng, shape: rng.uniform(-0.9, 0.9, shape),
    # no two alike: 0.1 apart, none of them 0
    "distinct": lambda rng, shape: (
        (rng.permutation(math.prod(shape)).reshape(shape) - math.prod(shape) // 2 + 0.3) / 10
    ),
    # the same, and none equal to a "distinct" one
    "distinct too": lambda rng, shape: DOMAINS["distinct"](rng, shape) + 0.05,
    # small whole numbers, so that many are equal
    "repeated": lambda rng, shape: rng.integers(-1, 2, shape).astype(float),
    "bool": lambda rng, shape: rng.random(shape) < 0.5,
}


@dataclass(frozen=True)
class Case:
    """One call: the Tensors that go in, the keywords beside them, what is said before them (einsum's subscripts)."""

    arguments: tuple[Argument, ...]
    keywords: dict[str, Any] = field(default_factory=dict)
    before: tuple = ()

    def draw(self, rng: np.random.Generator) -> list[np.ndarray]:
        return [argument.draw(rng) for argument in self.arguments]

    @property
    def empty(self) -> bool:
        return any(0 in argument.shape for argument in self.arguments)

    def __str__(self) -> str:
        shapes = " ".join(["x".join(map(str, a.shape)) or "0-d" for a in self.arguments])
        words = [str(word) for word in self.before] + [f"{key}={value}" for key, value in self.keywords.items()]
        return " ".join([shapes, *words]).replace("\n", " ")


@dataclass(frozen=True)
class Row:
    """A function or op class of `needle.ops`.

    name: its name there.  A class is constructed with a case's keywords and called with its Tensors.
    makes: the op classes of the nodes that one call records.
    reference: the same in NumPy.
    elementwise: broadcasts, and the Jacobian is diagonal.
    kinked: not analytic everywhere: has kinks or jumps (outside the domains of the cases).
    constant: piecewise constant: the result is a constant, whatever goes in.
    linear: linear in all differentiable arguments together.
    joins: takes its Tensors as one list.
    """

    name: str
    makes: str
    reference: Callable
    cases: tuple[Case, ...]
    elementwise: bool = False
    kinked: bool = False
    constant: bool = False
    linear: bool = False
    joins: bool = False

    def call(self, case: Case, *tensors):
        function = getattr(ndl.ops, self.name)
        if isinstance(function, type):
            return function(*case.before, **case.keywords)(*tensors)
        if self.joins:
            return function(list(tensors), **case.keywords)
        return function(*case.before, *tensors, **case.keywords)

    def expect(self, case: Case, *arrays):
        if self.joins:
            return self.reference(list(arrays), **case.keywords)
        return self.reference(*case.before, *arrays, **case.keywords)

    def __str__(self) -> str:
        return self.name


def cases() -> Iterator[tuple[Row, Case]]:
    """Every row with each of its cases."""
    return ((row, case) for row in ROWS for case in row.cases)


# --------------------------------------------------------------------------------------------------------------------
# Abbreviations for the table


def real(*shape):
    return Argument(shape)


def positive(*shape):
    return Argument(shape, "positive")


def distinct(*shape):
    return Argument(shape, "distinct")


def below(n, *shape):
    return Argument(shape, f"below {n}")


def case(*arguments, before=(), **keywords) -> Case:
    return Case(arguments, keywords, before)


UNARY_SHAPES = [(2, 3), (), (1,), (0,), (2, 0, 3)]
BINARY_SHAPES = [
    [(2, 3), (2, 3)], [(3,), (2, 3)], [(2, 1), (1, 3)], [(2, 3), ()], [(), ()], [(1,), (3,)], [(4, 1, 2), (3, 1)],
    [(0,), (1,)], [(2, 0), ()],
]  # fmt: skip


def unary(name, makes, domain, reference, keywords=({},), **flags) -> Row:
    """An elementwise function of one Tensor: the first shape with every set of keywords, the others with the first."""
    keywords = list(keywords)
    shaped = [Case((Argument(shape, domain),), keywords[0]) for shape in UNARY_SHAPES]
    others = [Case((Argument(UNARY_SHAPES[0], domain),), more) for more in keywords[1:]]
    return Row(name, makes, reference, tuple(shaped + others), elementwise=True, **flags)


def binary(name, makes, domains, reference, **flags) -> Row:
    """An elementwise function of two Tensors, on all pairs of shapes that matter for broadcasting."""
    shaped = [Case(tuple(map(Argument, shapes, domains))) for shapes in BINARY_SHAPES]
    return Row(name, makes, reference, tuple(shaped), elementwise=True, **flags)


def comparison(name, makes="Step", domains=("repeated", "repeated")) -> list[Row]:
    """A comparison of two Tensors, and of a Tensor with a number."""
    reference = getattr(np, name)
    return [
        binary(name, makes, domains, reference, kinked=True, constant=True),
        Row(
            name,
            makes,
            lambda a, b: reference(a, b),
            (case(Argument((2, 3), domains[0]), b=1),),
            True,
            kinked=True,
            constant=True,
        ),
    ]


# --------------------------------------------------------------------------------------------------------------------
# The rows

ARITHMETIC = [
    binary("add", "EWiseAdd", ("real", "real"), np.add, linear=True),
    binary("subtract", "EWiseAdd Negate", ("real", "real"), np.subtract, linear=True),
    binary("multiply", "EWiseMul", ("real", "real"), np.multiply),
    binary("divide", "EWiseDiv", ("real", "nonzero"), np.divide),
    binary("power", "EWisePow", ("positive", "real"), np.power),
    unary("add_scalar", "AddScalar", "real", lambda a, scalar: a + scalar, [{"scalar": 2.5}, {"scalar": -3}]),
    unary(
        "mul_scalar", "MulScalar", "real", lambda a, scalar: a * scalar, [{"scalar": -1.5}, {"scalar": 2}], linear=True
    ),
    unary(
        "divide_scalar",
        "DivScalar",
        "real",
        lambda a, scalar: a / scalar,
        [{"scalar": -1.5}, {"scalar": 2}],
        linear=True,
    ),
    unary(
        "power_scalar",
        "PowerScalar",
        "nonzero",
        lambda a, scalar: a**scalar,
        [{"scalar": n} for n in (3, 2, 1, 0, -1, -2, 2.0)],
    ),
    unary(
        "power_scalar",
        "PowerScalar",
        "positive",
        lambda a, scalar: a**scalar,
        [{"scalar": n} for n in (0.5, -1.5, 2.5)],
    ),
    unary("ScalarDiv", "ScalarDiv", "nonzero", lambda a, scalar: scalar / a, [{"scalar": 2.5}, {"scalar": 3}]),
    unary("ScalarPower", "ScalarPower", "real", lambda a, scalar: scalar**a, [{"scalar": 2.5}, {"scalar": 0.5}]),
    unary("negate", "Negate", "real", np.negative, linear=True),
    unary("conjugate", "Conjugate", "real", np.conjugate, linear=True),
]

FUNCTIONS = [
    unary("log", "Log", "positive", np.log),
    unary("log1p", "Log1p", "positive", np.log1p),
    unary("exp", "Exp", "real", np.exp),
    unary("expm1", "Expm1", "real", np.expm1),
    unary("sqrt", "Sqrt", "positive", np.sqrt),
    unary("square", "Square", "real", np.square),
    unary("abs", "Abs", "nonzero", np.abs, kinked=True),
    unary("sin", "Sin", "real", np.sin),
    unary("cos", "Cos", "real", np.cos),
    unary("tan", "Tan", "small", np.tan),
    unary("arctan", "Arctan", "real", np.arctan),
    unary("tanh", "Tanh", "real", np.tanh),
    unary("sigmoid", "Sigmoid", "real", special.expit),
    unary("softplus", "Softplus", "real", lambda a: np.log1p(np.exp(a))),
    unary("relu", "ReLU", "nonzero", lambda a: a * (a > 0), kinked=True),
    unary("silu", "SiLU", "real", lambda a: a / (1 + np.exp(-a))),
    unary("gelu", "GELU", "real", ref.gelu),
]

CHOICES = [
    binary("maximum", "Maximum", ("distinct", "distinct too"), np.maximum, kinked=True),
    binary("minimum", "Minimum", ("distinct", "distinct too"), np.minimum, kinked=True),
    unary(
        "clip",
        "Clip",
        "nonzero",
        lambda a, low=None, high=None: np.clip(a, low, high),
        [{"low": -1.0, "high": 0.4}, {"low": 0}, {"high": 0.2}, {}],
        kinked=True,
    ),
    Row(
        "where",
        "Where",
        np.where,
        (
            case(Argument((2, 3), "bool"), real(2, 3), real(2, 3)),
            case(Argument((3,), "bool"), real(2, 1), real()),
            case(Argument((), "bool"), real(1), real(3)),
            case(Argument((2, 1), "bool"), real(3), real(2, 3)),
            case(Argument((0,), "bool"), real(0), real(1)),
        ),
        elementwise=True,
    ),
    Row(
        "TieShare",
        "TieShare",
        ref.tie_share,
        (case(Argument((3, 4), "repeated"), Argument((3, 4), "repeated"), Argument((3, 4), "repeated")),),
        elementwise=True,
        kinked=True,
        constant=True,
    ),
]

STEPS = [
    *[
        row
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
        for row in comparison(name)
    ],
    *[
        row
        for name in ("logical_and", "logical_or", "logical_xor")
        for row in comparison(name, "Step", ("bool", "bool"))
    ],
    unary("logical_not", "Step", "bool", np.logical_not, kinked=True, constant=True),
    unary("sign", "Step", "repeated", np.sign, kinked=True, constant=True),
    unary("floor", "Step", "nonzero", np.floor, kinked=True, constant=True),
    unary("ceil", "Step", "nonzero", np.ceil, kinked=True, constant=True),
]


def reductions(name, makes, domain, reference, word="axis", keepdims=True, empty=True, **flags) -> Row:
    shaped = lambda *shape: Argument(shape, domain)
    rows = [
        case(shaped(2, 3)), case(shaped()), case(shaped(2, 3, 4), **{word: 1}), case(shaped(2, 3, 4), **{word: -1}),
        case(shaped(2, 3, 4), **{word: (0, 2)}), case(shaped(2, 3, 4), **{word: (-1, 0)}),
        case(shaped(1, 3), **{word: 0}), case(shaped(2, 3), **{word: ()}), case(shaped(2, 0), **{word: 0}),
    ]  # fmt: skip
    if keepdims:
        rows += [case(shaped(2, 3), keepdims=True), case(shaped(2, 3, 4), keepdims=True, **{word: (1, -1)})]
    if empty:
        rows += [case(shaped(0)), case(shaped(2, 0), **{word: 1})]
    return Row(name, makes, reference, tuple(rows), **flags)


def one_axis(name, reference, **flags) -> Row:
    rows = case(distinct(2, 3)), case(distinct(2, 3), axis=0), case(distinct(2, 3), axis=-1, keepdims=True)
    return Row(name, "ArgExtremum", reference, rows, kinked=True, constant=True, **flags)


REDUCTIONS = [
    reductions("summation", "Summation", "real", lambda a, axes=None: np.sum(a, axes), "axes", False, linear=True),
    reductions("sum", "Summation", "real", np.sum, linear=True),
    reductions("mean", "Mean", "real", np.mean, empty=False, linear=True),
    reductions("max", "Max", "distinct", np.max, empty=False, kinked=True),
    reductions("min", "Min", "distinct", np.min, empty=False, kinked=True),
    reductions("logsumexp", "LogSumExp", "real", lambda a, axes=None: special.logsumexp(a, axes), "axes", False, False),
    Row(
        "var",
        "Variance",
        np.var,
        (
            case(real(2, 3)),
            case(real(2, 3, 4), axis=1),
            case(real(2, 3, 4), axis=(0, -1), keepdims=True),
            case(real(2, 0), axis=0),
            case(real(2, 3), ddof=1),
            case(real(3, 4), axis=0, ddof=1),
            case(real(3, 4), axis=1, ddof=0.5, keepdims=True),
        ),
    ),
    one_axis("argmax", np.argmax),
    one_axis("argmin", np.argmin),
    Row(
        "ReduceTieShare",
        "ReduceTieShare",
        ref.reduce_tie_share,
        (
            case(Argument((3, 4), "repeated"), Argument((3, 1), "repeated"), axes=1),
            case(Argument((8,), "repeated"), Argument((1,), "repeated")),
        ),
        kinked=True,
        constant=True,
    ),
    Row(
        "logsoftmax",
        "LogSoftmax",
        ref.log_softmax,
        (
            case(real(2, 3)),
            case(real(3)),
            case(real(2, 3, 4)),
            case(real(2, 3), axis=0),
            case(real(0, 3)),
            case(real(2, 1)),
        ),
    ),
    Row(
        "softmax",
        "Softmax",
        lambda a, axis=-1: special.softmax(a, axis),
        (
            case(real(2, 3)),
            case(real(3)),
            case(real(2, 3, 4), axis=1),
            case(real(2, 3), axis=0),
            case(real(0, 3)),
            case(real(2, 1)),
            case(real(2, 3, 4), axis=(0, 2)),
            case(real(2, 3), axis=None),
        ),
    ),
]

MOVEMENT = [
    Row("Identity", "Identity", np.array, (case(real(2, 3)), case(real()), case(real(0))), linear=True),
    Row("Copy", "Copy", np.array, (case(real(2, 3)), case(real()), case(real(0))), linear=True),
    Row(
        "Cast",
        "Cast",
        lambda a, dtype: a.astype(dtype),
        (case(real(2, 3), dtype="float64"), case(real(), dtype="float64")),
        linear=True,
    ),
    Row(
        "reshape",
        "Reshape",
        lambda a, shape: a.reshape(shape),
        (
            case(real(2, 3), shape=(3, 2)),
            case(real(2, 3), shape=(-1,)),
            case(real(2, 3), shape=6),
            case(real(1), shape=()),
            case(real(), shape=(1, 1)),
            case(real(2, 0), shape=(0, 5)),
        ),
        linear=True,
    ),
    Row(
        "broadcast_to",
        "BroadcastTo",
        np.broadcast_to,
        (
            case(real(3), shape=(2, 3)),
            case(real(2, 1), shape=(2, 3)),
            case(real(), shape=(2, 3)),
            case(real(1), shape=(4,)),
            case(real(2, 1, 3), shape=(4, 2, 5, 3)),
            case(real(2, 3), shape=(2, 3)),
            case(real(1), shape=(0,)),
            case(real(3), shape=3),
        ),
        linear=True,
    ),
    Row(
        "sum_to",
        "SumTo",
        ref.sum_to,
        (
            case(real(2, 3), shape=(3,)),
            case(real(2, 3), shape=(2, 1)),
            case(real(2, 3), shape=()),
            case(real(2, 3), shape=(1, 1)),
            case(real(4, 2, 5, 3), shape=(2, 1, 3)),
            case(real(2, 3), shape=(2, 3)),
            case(real(0, 3), shape=(1, 3)),
        ),
        linear=True,
    ),
    Row(
        "transpose",
        "Transpose",
        lambda a, axes=(-2, -1): ref.swap(a, axes),
        (
            case(real(2, 3)),
            case(real(2, 3, 4)),
            case(real(2, 3, 4), axes=(0, 2)),
            case(real(2, 3, 4), axes=(-1, 1)),
            case(real(2, 3), axes=(1, 1)),
            case(real(0, 3)),
        ),
        linear=True,
    ),
    Row(
        "permute",
        "Permute",
        np.transpose,
        (
            case(real(2, 3, 4)),
            case(real(2, 3, 4), axes=(1, 2, 0)),
            case(real(2, 3, 4), axes=(-1, 0, 1)),
            case(real(3)),
            case(real(2, 0)),
        ),
        linear=True,
    ),
    Row(
        "moveaxis",
        "Permute",
        np.moveaxis,
        (
            case(real(2, 3, 4), source=0, destination=2),
            case(real(2, 3, 4), source=-1, destination=0),
        ),
        linear=True,
    ),
    Row(
        "flip",
        "Flip",
        lambda a, axes=None: np.flip(a, axes),
        (
            case(real(2, 3), axes=None),
            case(real(2, 3), axes=0),
            case(real(2, 3, 4), axes=(0, -1)),
            case(real(0, 2), axes=1),
        ),
        linear=True,
    ),
    Row(
        "dilate",
        "Dilate",
        ref.dilate,
        (
            case(real(2, 3), axes=(0,), dilation=1),
            case(real(2, 3, 4), axes=(1, -1), dilation=2),
            case(real(2, 3), axes=(0, 1), dilation=0),
            case(real(3), axes=(0, 5), dilation=1),
            case(real(0, 2), axes=(0, 1), dilation=1),
        ),
        linear=True,
    ),
    Row(
        "undilate",
        "UnDilate",
        ref.undilate,
        (
            case(real(4, 3), axes=(0,), dilation=1),
            case(real(2, 6, 3), axes=(1, -1), dilation=2),
            case(real(5), axes=(0,), dilation=1),
            case(real(7, 4), axes=(0, 1), dilation=2),
            case(real(0, 4), axes=(1,), dilation=1),
        ),
        linear=True,
    ),
    Row(
        "pad",
        "Pad",
        lambda a, widths: np.pad(a, widths),
        (
            case(real(2, 3), widths=1),
            case(real(2, 3), widths=(0, 2)),
            case(real(2, 3), widths=((1, 0), (0, 2))),
            case(real(0), widths=2),
        ),
        linear=True,
    ),
    Row(
        "Pad",
        "Pad",
        ref.crop_or_pad,
        (
            case(real(4, 5), widths=((-1, -2), (0, -1))),
            case(real(4, 3), widths=((-1, 2), (1, 0))),
            case(real(3), widths=((-3, 0),)),
        ),
        linear=True,
    ),
    Row(
        "stack",
        "Stack",
        np.stack,
        (
            case(real(2, 3), real(2, 3), axis=0),
            case(real(2, 3), real(2, 3), real(2, 3), axis=-1),
            case(real(3), axis=1),
            case(real(), real(), axis=0),
            case(real(0), real(0), axis=1),
        ),
        linear=True,
        joins=True,
    ),
    Row(
        "concatenate",
        "Concatenate",
        np.concatenate,
        (
            case(real(2, 3), real(1, 3)),
            case(real(2, 3), real(2, 1), real(2, 2), axis=1),
            case(real(2, 3), real(2, 3), axis=-1),
            case(real(2), real(0)),
        ),
        linear=True,
        joins=True,
    ),
]


TUPLES = [
    Row(
        "split",
        "Split",
        ref.items,
        (case(real(2, 3), axis=0), case(real(2, 3), axis=1), case(real(2, 3, 4), axis=-1), case(real(2, 0), axis=0)),
        linear=True,
    ),
    Row(
        "make_tuple", "MakeTensorTuple", lambda *arrays: arrays, (case(real(2, 3), real(3)), case(real())), linear=True
    ),
    Row(
        "fused_add_scalars",
        "FusedAddScalars",
        lambda x, c0, c1: (x + c0, x + c1),
        (case(real(2, 3), c0=1.5, c1=-2), case(real(), c0=0, c1=1)),
    ),
]

EVERY_OTHER, BACKWARDS, ALL = slice(None, None, 2), slice(None, None, -1), slice(None)
MASK, ROW_MASK = np.array([[True, False, True], [False, False, True]]), np.array([True, False])

INDEXING = [
    Row(
        "get_item",
        "GetItem",
        lambda a, index: a[index],
        (
            case(real(4, 3), index=1),
            case(real(4, 3), index=-1),
            case(real(4, 3), index=(1, 2)),
            case(real(4, 3), index=slice(1, 3)),
            case(real(4, 3), index=EVERY_OTHER),
            case(real(4, 3), index=(BACKWARDS, slice(2, 0, -1))),
            case(real(4, 3), index=(..., 1)),
            case(real(4, 3), index=(None, ALL, None, 2)),
            case(real(4, 3), index=slice(3, 1)),
            case(real(), index=()),
            case(real(), index=(None, ...)),
            case(real(4, 3), index=[0, 2, 2]),
            case(real(4, 3), index=np.array([[0, -1], [3, 3]])),
            case(real(4, 3), index=([0, 0, 1], [2, 2, 0])),
            case(real(4, 3), index=(np.array([[0], [3]]), np.array([2, 2]))),
            case(real(4, 3, 2), index=(ALL, [0, 0, 2])),
            case(real(4, 3, 2), index=([1, 1], ALL, [0, 1])),
            case(real(4, 3, 2), index=(1, ALL, [0, 1, 1])),
            case(real(4, 3), index=([1, 1], None, EVERY_OTHER)),
            case(real(2, 3), index=MASK),
            case(real(2, 3), index=ROW_MASK),
            case(real(2, 3), index=(ROW_MASK, [0])),
            case(real(2, 3), index=(ALL, np.array([True, True, False]))),
            case(real(2, 3), index=np.zeros((2, 3), bool)),
            case(real(4, 3), index=[]),
            case(real(4, 3), index=np.int64(2)),
            case(real(0, 3), index=(ALL, 1)),
            case(real(3), index=True),
            case(real(300, 1), index=np.array([7, 7, 255], np.uint8)),
        ),
        linear=True,
    ),
    Row(
        "GetItem",
        "GetItem",
        ref.pick,
        (
            case(real(4, 3), below(4, 5), index=(PLACE,)),
            case(real(4, 3), below(4, 2, 2), below(3, 2), index=(PLACE, PLACE)),
            case(real(4, 3), below(3, 5), index=(slice(1, 3), PLACE)),
            case(real(4, 3), below(4), index=(PLACE, 1)),
            case(real(2, 3), Argument((2, 3), "bool"), index=(PLACE,)),
        ),
        linear=True,
    ),
    Row(
        "Scatter",
        "Scatter",
        ref.scatter,
        (
            case(real(2, 3), index=(slice(1, 3),), shape=(4, 3)),
            case(real(3, 3), index=(np.array([0, 2, 2]),), shape=(4, 3)),
            case(real(3), index=(np.array([0, 2, 2]), np.array([1, 1, 1])), shape=(4, 3)),
            case(real(5, 3), below(4, 5), index=(PLACE,), shape=(4, 3)),
            case(real(2, 5), below(3, 5), index=(slice(1, 3), PLACE), shape=(4, 3)),
            case(real(3), index=(MASK,), shape=(2, 3)),
            case(real(0, 3), index=(np.array([], int),), shape=(4, 3)),
        ),
        linear=True,
    ),
    Row(
        "take_along_axis",
        "TakeAlongAxis",
        np.take_along_axis,
        (
            case(real(4, 3), below(3, 4, 1), axis=1),
            case(real(4, 3), below(3, 4, 5), axis=-1),
            case(real(4, 3), below(4, 2, 3), axis=0),
            case(real(3), below(3, 4), axis=0),
            case(real(4, 3), below(3, 1, 2), axis=1),
            case(real(1, 3), below(3, 4, 2), axis=1),
            case(real(1, 3), below(3, 4, 1), axis=1),
            case(real(0, 3), below(3, 0, 1), axis=1),
        ),
        linear=True,
    ),
    Row(
        "PutAlongAxis",
        "PutAlongAxis",
        ref.put_along_axis,
        (
            case(real(4, 1), below(3, 4, 1), axis=1, shape=(4, 3)),
            case(real(4, 5), below(3, 4, 5), axis=1, shape=(4, 3)),
            case(real(4, 2), below(3, 1, 2), axis=1, shape=(4, 3)),
            case(real(4, 2), below(3, 4, 2), axis=1, shape=(1, 3)),
        ),
        linear=True,
    ),
    Row(
        "embedding_lookup",
        "GetItem",
        lambda weight, indices: weight[indices],
        (
            case(real(4, 3), below(4, 5)),
            case(real(4, 3), below(4, 2, 3)),
            case(real(4, 3), below(4)),
            case(real(4, 3), below(4, 0)),
        ),
        linear=True,
    ),
]


def einsums(*cases_) -> tuple[Case, ...]:
    return tuple(case(*map(Argument, shapes), before=(subscripts,)) for subscripts, *shapes in cases_)


CONTRACTIONS = [
    Row(
        "matmul",
        "MatMul",
        np.matmul,
        tuple(
            case(real(*a), real(*b))
            for a, b in [
                ((2, 3), (3, 4)),
                ((2, 2, 3), (2, 3, 4)),
                ((5, 2, 3), (3, 4)),
                ((2, 3), (5, 3, 4)),
                ((5, 1, 2, 3), (4, 3, 2)),
                ((2, 3), (6, 5, 3, 4)),
                ((6, 5, 2, 3), (3, 4)),
                ((3,), (3,)),
                ((3,), (3, 4)),
                ((2, 3), (3,)),
                ((5, 2, 3), (3,)),
                ((3,), (5, 3, 4)),
                ((1, 1), (1, 1)),
                ((0, 3), (3, 4)),
                ((2, 0), (0, 4)),
                ((2, 3), (3, 0)),
                ((0, 2, 3), (3, 4)),
                ((5, 2, 0), (0, 4)),
                ((5, 2, 3), (3, 0)),
            ]
        ),
    ),
    Row(
        "einsum",
        "Einsum",
        np.einsum,
        einsums(
            ("ij,jk->ik", (2, 3), (3, 4)),
            ("ij,jk", (2, 3), (3, 4)),
            ("ij->ji", (2, 3)),
            ("ij->i", (2, 3)),
            ("ij->", (2, 3)),
            ("ii->i", (3, 3)),
            ("ii", (3, 3)),
            ("ii->", (3, 3)),
            ("iij->j", (2, 2, 3)),
            ("iji->ij", (2, 3, 2)),
            ("i,j->ij", (2,), (3,)),
            ("i,i->", (3,), (3,)),
            ("i,i->i", (3,), (3,)),
            (",i->i", (), (3,)),
            ("ij,ik->j", (2, 3), (2, 4)),
            ("bij,bjk->bik", (2, 2, 3), (2, 3, 4)),
            ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
            ("...i->...", (2, 3)),
            ("i...,i...", (2, 3), (2, 3)),
            ("...ij->...ji", (4, 2, 3)),
            ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
            ("i,j,k->kji", (2,), (3,), (4,)),
            ("bi,bj,bk->ijk", (5, 2), (5, 3), (5, 2)),
            ("ij,ij->ij", (1, 3), (2, 3)),
            ("ij,ik->i", (1, 3), (2, 4)),
            ("ii,ij->j", (3, 3), (3, 2)),
            ("iii->", (2, 2, 2)),
            (" i j , j k -> k i ", (2, 3), (3, 4)),
            ("ij,jk->ik", (0, 3), (3, 4)),
            ("ij,jk->ik", (2, 0), (0, 4)),
        ),
    ),
]

IMAGE, KERNEL = real(2, 5, 6, 2), real(3, 3, 2, 4)

CONVOLUTION = [
    Row(
        "conv",
        "Conv",
        ref.conv,
        (
            case(IMAGE, KERNEL),
            case(IMAGE, KERNEL, stride=2),
            case(IMAGE, KERNEL, padding=0),
            case(IMAGE, KERNEL, stride=2, padding=2, dilation=2),
            case(IMAGE, real(2, 3, 2, 3), stride=(1, 2), padding=(0, 1), dilation=(2, 1)),
            case(IMAGE, real(3, 3, 1, 4), groups=2),
            case(IMAGE, real(1, 1, 2, 3), padding=0, stride=3),
            case(IMAGE, real(3, 3, 1, 2), groups=2, stride=2),
            case(real(0, 5, 6, 2), KERNEL),
            case(real(1, 3, 3, 1), real(3, 3, 1, 1), padding=0),
        ),
    ),
    Row(
        "conv_transpose",
        "ConvTranspose",
        ref.conv_transpose,
        (
            case(real(2, 3, 4, 4), KERNEL),
            case(real(2, 3, 4, 4), KERNEL, stride=2, padding=1),
            case(real(2, 3, 4, 4), KERNEL, stride=2, padding=1, output_padding=1),
            case(real(2, 3, 4, 4), KERNEL, dilation=2),
            case(real(2, 3, 2, 4), real(3, 2, 1, 4), groups=2, stride=(2, 1)),
            case(real(0, 3, 4, 4), KERNEL),
        ),
    ),
    Row("Conv", "Conv", ref.conv_op, (case(IMAGE, KERNEL), case(IMAGE, KERNEL, stride=(2, 1), padding=(1, 0)))),
    Row(
        "ConvTranspose",
        "ConvTranspose",
        ref.conv_back,
        (
            case(real(2, 3, 4, 4), KERNEL, size=(5, 6)),
            case(real(2, 3, 3, 4), KERNEL, size=(5, 6), stride=2, padding=1),
            case(real(2, 2, 2, 4), real(3, 3, 1, 4), size=(5, 6), stride=2, groups=2),
        ),
    ),
    Row(
        "ConvKernel",
        "ConvKernel",
        ref.conv_kernel,
        (
            case(IMAGE, real(2, 3, 4, 3), kernel=(3, 3)),
            case(IMAGE, real(2, 3, 3, 3), kernel=(3, 3), stride=2, padding=1),
            case(IMAGE, real(2, 1, 2, 4), kernel=(3, 3), dilation=2),
            case(IMAGE, real(2, 3, 4, 4), kernel=(3, 3), groups=2),
        ),
    ),
    Row(
        "Unfold",
        "Unfold",
        ref.unfold,
        (
            case(IMAGE, kernel=(2, 2), stride=(2, 2), padding=(0, 0)),
            case(IMAGE, kernel=(3, 2), stride=(1, 2), padding=(1, 1)),
            case(real(0, 5, 6, 2), kernel=(2, 2), stride=(1, 1), padding=(0, 0)),
        ),
        linear=True,
    ),
    Row(
        "Fold",
        "Fold",
        ref.fold,
        (
            case(real(2, 2, 3, 4, 2), shape=(2, 5, 6, 2), kernel=(2, 2), stride=(2, 2), padding=(0, 0)),
            case(real(2, 5, 4, 6, 2), shape=(2, 5, 6, 2), kernel=(3, 2), stride=(1, 2), padding=(1, 1)),
        ),
        linear=True,
    ),
    Row(
        "max_pool",
        "Unfold TakeAlongAxis Reshape",
        ref.pool(np.max, -np.inf),
        (
            case(distinct(2, 4, 6, 2), kernel=2),
            case(distinct(2, 5, 6, 2), kernel=3, stride=2, padding=1),
            case(distinct(1, 5, 6, 2), kernel=(2, 3), stride=(1, 2)),
            case(distinct(0, 4, 4, 1), kernel=2),
        ),
        kinked=True,
    ),
    Row(
        "avg_pool",
        "Unfold Mean",
        ref.pool(np.mean, 0),
        (
            case(IMAGE, kernel=2),
            case(IMAGE, kernel=3, stride=2, padding=1),
            case(IMAGE, kernel=(2, 3), stride=(1, 2)),
            case(real(0, 4, 4, 1), kernel=2),
        ),
        linear=True,
    ),
]

ROWS: list[Row] = [
    *ARITHMETIC, *FUNCTIONS, *CHOICES, *STEPS, *REDUCTIONS, *MOVEMENT, *TUPLES, *INDEXING, *CONTRACTIONS, *CONVOLUTION,
]  # fmt: skip

# --------------------------------------------------------------------------------------------------------------------
# Where the derivative is a matter of choice, and where it is easily lost


@dataclass(frozen=True)
class Choice:
    """A point at which many values would do as the derivative, and the one that needle has: the gradient of the sum."""

    name: str
    arrays: tuple
    gradients: tuple
    keywords: dict[str, Any] = field(default_factory=dict)

    def call(self, *tensors):
        return getattr(ndl.ops, self.name)(*tensors, **self.keywords)

    def __str__(self) -> str:
        return f"{self.name} at {', '.join(map(str, self.arrays))} {self.keywords or ''}".replace("\n", "").rstrip()


TWO_BY_FOUR = [[[[1.0], [2.0], [5.0], [5.0]], [[2.0], [2.0], [5.0], [5.0]]]]  # an image (1, 2, 4, 1)
FIRST = [[[[0.0], [1.0], [1.0], [0.0]], [[0.0], [0.0], [0.0], [0.0]]]]

CHOSEN = [
    Choice("relu", ([-1.0, 0.0, 1.0],), ([0.0, 0.0, 1.0],)),
    Choice("abs", ([-1.0, 0.0, 1.0],), ([-1.0, 0.0, 1.0],)),
    Choice("maximum", ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), ([0.5, 0.0, 1.0], [0.5, 1.0, 0.0])),
    Choice("minimum", ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), ([0.5, 1.0, 0.0], [0.5, 0.0, 1.0])),
    Choice("maximum", ([1.0, 2.0], 1.0), ([0.5, 1.0], 0.5)),
    Choice("max", ([1.0, 3.0, 3.0, 2.0],), ([0.0, 0.5, 0.5, 0.0],)),
    Choice("min", ([2.0, 2.0, 2.0, 3.0],), ([1 / 3, 1 / 3, 1 / 3, 0.0],)),
    Choice("max", ([[1.0, 1.0], [2.0, 0.0]],), ([[0.5, 0.5], [1.0, 0.0]],), {"axis": 1}),
    Choice("max", ([[1.0, 1.0], [1.0, 0.0]],), ([[1 / 3, 1 / 3], [1 / 3, 0.0]],), {"keepdims": True}),
    Choice("max", ([np.inf, np.inf, 0.0],), ([0.5, 0.5, 0.0],)),
    Choice("max_pool", (TWO_BY_FOUR,), (FIRST,), {"kernel": 2}),
    Choice("clip", ([-2.0, -1.0, 0.0, 1.0, 2.0],), ([0.0, 1.0, 1.0, 1.0, 0.0],), {"low": -1, "high": 1}),
    Choice("clip", ([-2.0, -1.0, 2.0],), ([0.0, 1.0, 1.0],), {"low": -1}),
    *[Choice("power_scalar", ([0.0],), ([0.0],), {"scalar": n}) for n in (0, 2, 3, 1.5, 0.0, 2.0)],
    Choice("power_scalar", ([0.0],), ([1.0],), {"scalar": 1}),
    Choice("power", ([0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 2.0, 1.5]), ([0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0])),
    Choice("logsumexp", ([0.0, -np.inf],), ([1.0, 0.0],)),
    Choice("where", ([True, False], [1.0, 2.0], [3.0, 4.0]), (None, [1.0, 0.0], [0.0, 1.0])),
]  # fmt: skip
