"""`needle.scipy.linalg` beyond its rows in the table: errors, and derivatives at awkward places."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg

import needle as ndl
from needle.scipy import linalg

LinAlgError = np.linalg.LinAlgError


def t(array):
    return ndl.Tensor(np.asarray(array, float))


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: linalg.cholesky(t([[1, 2], [2, 1]])), LinAlgError, "not positive definite"),
        (lambda: linalg.cholesky(t(np.ones((2, 3)))), ValueError, r"cholesky expects square .* \(2, 3\)"),
        (lambda: linalg.solve(t(np.zeros((2, 2))), t([1, 1])), LinAlgError, "[Ss]ingular"),
        (lambda: linalg.solve(t(np.eye(2)), t([1, 1, 1])), ValueError, r"solve: .*\(2, 2\).*\(3,\)"),
        (lambda: linalg.solve(t(np.eye(2)), t([1, 1]), assume_a="round"), ValueError, "not a recognized"),
        (lambda: linalg.solve(t([[1, 2], [2, 1]]), t([1, 1]), assume_a="pos"), LinAlgError, "positive definite"),
        (lambda: linalg.solve_triangular(t([[1, 1], [0, 0]]), t([1, 1])), LinAlgError, "[Ss]ingular"),
        (lambda: linalg.solve_triangular(t(np.eye(2)), t([1, 1]), trans=3), ValueError, "trans"),
        (lambda: linalg.inv(t([[1, np.nan], [0, 1]])), ValueError, "infs or NaNs"),
        (lambda: linalg.solve_sylvester(t(np.eye(2)), t(np.eye(3)), t(np.ones((3, 2)))), ValueError, r"\(2, 3\)"),
        (lambda: linalg.solve_sylvester(t(np.eye(2)), t(-np.eye(2)), t(np.ones((2, 2)))), LinAlgError, "eigenvalue"),
        (lambda: linalg.expm(t(np.ones(3))), LinAlgError, r"expm expects square .* \(3,\)"),
        (lambda: ndl.grad(lambda a: linalg.sqrtm(a).sum())(np.diag([1.0, 0.0])), LinAlgError, "no derivative"),
        (lambda: linalg.norm(t(np.eye(2))), TypeError, "no derivative of scipy.linalg.*norm"),
    ],
)
@pytest.mark.filterwarnings("ignore:Matrix is singular")
def test_a_mistake_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_without_a_tensor_the_functions_are_scipys():
    a = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert isinstance(linalg.expm(a), np.ndarray)
    np.testing.assert_array_equal(linalg.norm(a), scipy.linalg.norm(a))
    np.testing.assert_array_equal(linalg.norm(ndl.Tensor(a, requires_grad=False)), scipy.linalg.norm(a))


def test_the_exponential_differentiates_at_zero_and_at_large_matrices():
    e = np.array([[0.0, 1.0], [2.0, 3.0]])
    _, slope = ndl.jvp(linalg.expm, (np.zeros((2, 2)),), (e,))
    np.testing.assert_allclose(slope, e, rtol=1e-14)
    large = 30 * np.array([[0.0, 1.0], [-1.0, 0.0]])  # a rotation by 30 rad
    _, slope = ndl.jvp(linalg.expm, (large,), (large / 30,))
    np.testing.assert_allclose(slope, large / 30 @ scipy.linalg.expm(large), rtol=1e-10, atol=1e-12)


def test_a_third_derivative_of_the_exponential():
    a = np.array([[0.1, 0.4], [-0.3, 0.2]])

    def along(s):
        return linalg.expm(ndl.ops.multiply(s, t(a)))[0, 1]

    third = ndl.grad(ndl.grad(ndl.grad(along)))(0.7)
    np.testing.assert_allclose(third, (a @ a @ a @ scipy.linalg.expm(0.7 * a))[0, 1], rtol=1e-8)


def test_the_logarithm_undoes_the_exponential_in_value_and_derivative():
    a = np.array([[0.1, 0.4], [-0.3, 0.2]])
    jacobian = ndl.jacrev(lambda a: linalg.logm(linalg.expm(a)))(a)
    np.testing.assert_allclose(jacobian.reshape(4, 4), np.eye(4), atol=1e-12)


def test_only_one_triangle_is_differentiated():
    a = np.array([[2.0, 0.5], [0.5, 3.0]])
    assert ndl.grad(lambda a: linalg.cholesky(a).sum())(a)[1, 0] == 0
    assert ndl.grad(lambda a: linalg.solve(a, np.ones(2), assume_a="her", lower=True).sum())(a)[0, 1] == 0


def test_importing_needle_imports_none_of_it():
    code = "import sys, needle; assert not any(n.startswith(('scipy', 'needle.scipy')) for n in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
