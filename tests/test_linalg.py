"""`numpy.linalg` where derivatives are a matter of choice, or end: repeated eigenvalues, singular matrices, ranks that
drop, complements of bases.  The plain cases are rows of the table (numpy_rows_linalg.py)."""

import warnings

import numpy as np
import pytest

import needle as ndl
from needle.transforms import grad, hessian, jvp

RNG = np.random.default_rng(0)
BASIS = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
REPEATED = BASIS * [1.0, 2.0, 2.0, 5.0] @ BASIS.T
DIRECTION = RNG.normal(size=(4, 4))
WEIGHTS = RNG.normal(size=(4, 4))
CLOSE = {"rtol": 1e-6, "atol": 1e-8}  # central differences with a step of 1e-5


def slope(f, x, along=DIRECTION, step=1e-5):
    return (f(x + step * along) - f(x - step * along)) / (2 * step)


def assert_slope(f, x, along=DIRECTION):
    expected = slope(f, x, along)
    np.testing.assert_allclose(np.sum(grad(f)(x) * along), expected, **CLOSE)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        np.testing.assert_allclose(jvp(f, (x,), (along,))[1], expected, **CLOSE)


def lowest_space(a):
    """The projection on the space of the second and third eigenvector."""
    v = np.linalg.eigh(a)[1][:, 1:3]
    return np.sum(WEIGHTS * (v @ v.T))


def polar_factor(a):
    """The nearest orthogonal matrix."""
    u, _, vh = np.linalg.svd(a)
    return np.sum(WEIGHTS * (u @ vh))


@pytest.mark.parametrize("f", [
    lambda a: np.linalg.eigvalsh(a).sum(),
    lambda a: np.linalg.eigh(a)[0].sum(),
    lambda a: (np.linalg.eigvalsh(a) ** 3).sum(),
    lambda a: np.linalg.eigvalsh(a)[1:3].sum(),
    lowest_space,
    lambda a: np.linalg.svd(a)[1].sum(),
    lambda a: np.linalg.norm(a, "nuc"),
    polar_factor,
], ids=["trace", "trace by eigh", "cubes", "a cluster", "projection", "singular values", "nuclear norm",
        "polar factor"])  # fmt: skip
def test_what_is_well_defined_at_repeated_eigenvalues_is_differentiated(f):
    assert_slope(f, REPEATED)


@pytest.mark.parametrize("values", [np.linalg.eigvalsh, lambda a: np.linalg.eigh(a)[0]])
def test_repeated_eigenvalues_share_their_derivative_equally(values):
    second, third = grad(lambda a: values(a)[1])(REPEATED), grad(lambda a: values(a)[2])(REPEATED)
    np.testing.assert_allclose(second, third, rtol=1e-12)
    expected = slope(lambda a: values(a)[1], REPEATED)  # between the slopes of the two sides: right to first order
    np.testing.assert_allclose(np.sum(second * DIRECTION), expected, rtol=1e-4)


def test_the_hessian_of_a_sum_of_repeated_eigenvalues_is_zero():
    np.testing.assert_allclose(hessian(lambda a: np.linalg.eigvalsh(a).sum())(REPEATED), 0, atol=1e-12)


@pytest.mark.parametrize("f", [
    lambda a: np.sum(WEIGHTS * np.linalg.eigh(a)[1]),
    lambda a: np.sum(WEIGHTS * np.linalg.svd(a)[0]),
    lambda a: np.sum(WEIGHTS * (np.linalg.eigh(a)[1] * np.sqrt(np.linalg.eigh(a)[0])) @ np.linalg.eigh(a)[1].T),
])  # fmt: skip
def test_a_function_of_the_choice_of_basis_is_an_error_in_reverse_and_a_warning_in_forward_mode(f):
    with pytest.raises(np.linalg.LinAlgError, match="depends on the choice|repeated"):
        grad(f)(REPEATED)
    with pytest.warns(RuntimeWarning, match="repeated"):
        jvp(f, (REPEATED,), (DIRECTION,))


def test_a_function_of_eigenvalues_and_vectors_together_is_refused_where_some_are_equal():
    def root(a):
        w, v = np.linalg.eigh(a)
        return np.sum(WEIGHTS * ((v * np.sqrt(w)) @ v.T))

    with pytest.raises(np.linalg.LinAlgError, match="together"):
        grad(root)(REPEATED)


def test_a_second_derivative_through_repeated_eigenvalues_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="second derivative"):
        hessian(lambda a: (np.linalg.eigvalsh(a) ** 2).sum())(REPEATED)


# --------------------------------------------------------------------------------------------------------------------


def test_the_determinant_of_a_singular_matrix_has_all_its_derivatives_of_first_and_second_order():
    a = RNG.normal(size=(4, 4))
    for rank in (3, 2):
        u, s, vh = np.linalg.svd(a)
        s[rank:] = 0
        singular = u * s @ vh
        assert_slope(np.linalg.det, singular)
        second = hessian(np.linalg.det)(singular)
        found = np.einsum("ijkl,ij,kl", second, DIRECTION, DIRECTION)
        expected = slope(lambda x: np.sum(grad(np.linalg.det)(x) * DIRECTION), singular)
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_slogdet_is_right_near_singular_and_an_error_at_singular_matrices():
    near = BASIS * [1.0, 2.0, 3.0, 1e-9] @ BASIS.T
    exact = np.linalg.inv(near).T
    np.testing.assert_allclose(grad(lambda a: np.linalg.slogdet(a)[1])(near), exact, rtol=1e-12)
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        grad(lambda a: np.linalg.slogdet(a)[1])(np.ones((2, 2)))


@pytest.mark.parametrize("f", [
    lambda a: np.linalg.pinv(a).sum(),
    lambda a: np.linalg.lstsq(a, np.ones(4))[0].sum(),
])  # fmt: skip
def test_a_rank_that_drops_has_a_value_and_no_derivative(f):
    low = np.outer([1.0, 2, 3, 4], [1.0, 1, 2])
    assert np.isfinite(f(ndl.Tensor(low)).numpy())
    with pytest.raises(np.linalg.LinAlgError, match="rank"):
        grad(f)(low)
    with pytest.raises(np.linalg.LinAlgError, match="rank"):
        jvp(f, (low,), (np.ones((4, 3)),))


def test_qr_of_a_matrix_short_of_full_rank_has_no_derivative():
    with pytest.raises(np.linalg.LinAlgError, match="rank"):
        grad(lambda a: np.linalg.qr(a)[0].sum())(np.zeros((3, 2)))


@pytest.mark.parametrize("order", [None, 1, 2, 3, 2.5, np.inf])
def test_the_norm_at_zero_has_derivative_zero(order):
    assert not grad(lambda x: np.linalg.norm(x, order))(np.zeros(3)).any()
    assert not hessian(lambda x: np.linalg.norm(x, order))(np.zeros(3)).any()


@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, 2, np.inf])
def test_the_norm_of_a_zero_matrix_has_derivative_zero(order):
    assert not grad(lambda x: np.linalg.norm(x, order))(np.zeros((3, 3))).any()


def complement(decompose):
    """The projection on the space that the first two columns of a full basis leave out."""

    def f(a):
        rest = decompose(a)[:, 2:]
        return np.sum(WEIGHTS * (rest @ rest.T))

    return f


full_bases = pytest.mark.parametrize("basis", [
    lambda a: np.linalg.svd(a)[0],
    lambda a: np.linalg.svd(a.T)[2].T,
    lambda a: np.linalg.qr(a, "complete")[0],
], ids=["svd, U", "svd, V", "qr"])  # fmt: skip


@full_bases
def test_a_full_basis_is_differentiated_in_what_is_well_defined(basis):
    a, along = RNG.normal(size=(4, 2)), RNG.normal(size=(4, 2))
    assert_slope(complement(basis), a, along)
    assert_slope(lambda a: np.sum(WEIGHTS[:, :2] * basis(a)[:, :2]), a, along)


@full_bases
def test_a_full_basis_is_refused_where_the_choice_matters(basis):
    with pytest.raises(np.linalg.LinAlgError, match="choice"):
        grad(lambda a: np.sum(WEIGHTS * basis(a)))(RNG.normal(size=(4, 2)))


def test_a_symmetric_argument_has_its_derivative_in_the_triangle_that_is_read():
    a = REPEATED + np.diag([0.0, 0.1, 0.2, 0.3])
    assert not np.triu(grad(lambda a: np.linalg.cholesky(a).sum())(a), 1).any()
    assert not np.tril(grad(lambda a: np.linalg.eigh(a, "U")[0] @ np.arange(4.0))(a), -1).any()
