"""Rows of SciPy: `scipy.special`, whose ufuncs take Tensors as they are, and what stands under `needle.scipy`."""

import numpy as np
from numpy_table import (
    DOMAINS,
    Drawn,
    above_one,
    case,
    complex_,
    nonzero,
    plain,
    positive,
    real,
    row,
    small,
    with_zeros,
)

DOMAINS["probability"] = lambda rng, shape: rng.uniform(0.05, 0.95, shape)


def probability(*shape):
    return Drawn(shape, "probability")


def of_one(name, draw=real, *more, **about):
    about.setdefault("float32", False)
    return row(f"scipy.special.{name}", case(draw(2, 3)), case(draw()), case(draw(0)), *more, **about)


def of_two(name, left, right, *more, **about):
    """Two arguments that broadcast, and numbers beside a Tensor."""
    about.setdefault("float32", False)
    return row(
        f"scipy.special.{name}",
        case(left(2, 3), right(2, 3)),
        case(left(2, 1), right(3)),
        case(1.5 if left is not probability else 0.5, right(3)),
        case(left(3), plain(right(3))),
        *more,
        **about,
    )


def in_the_last(name, *others, draw=positive, **about):
    """Functions with parameters in which there is no derivative: these are numbers and arrays."""
    about.setdefault("float32", False)
    parameters = [plain(other(2, 3)) for other in others]
    return row(
        f"scipy.special.{name}",
        case(*parameters, draw(2, 3)),
        case(*[1.5 + i for i in range(len(others))], draw(3)),
        **about,
    )


def of_order(name, draw=positive, *more, **about):
    """Functions of a whole order."""
    about.setdefault("float32", False)
    return row(f"scipy.special.{name}", *[case(n, draw(3)) for n in (0, 1, 3)], *more, **about)


_complex = case(complex_(3))

SPECIAL = [
    # The error function and its kin
    of_one("erf", real, _complex),
    of_one("erfc", real, _complex),
    of_one("erfcx", real, _complex),
    of_one("erfi", small, _complex),
    of_one("erfinv", small),
    of_one("erfcinv", probability),
    of_one("dawsn", real, _complex),
    of_one("wofz", real, _complex),
    of_one("ndtr"),
    of_one("ndtri", probability),
    of_one("log_ndtr", real, case(nonzero(3)), _complex),
    of_one("fresnel"),
    of_two("owens_t", real, real),
    row(
        "scipy.special.voigt_profile",
        case(real(3), positive(3), positive(3)),
        case(real(2, 1), 0.7, positive(3)),
        float32=False,
    ),
    in_the_last("stdtr", positive, draw=real),
    # Gamma and beta
    of_one("gamma", positive, case(small(3))),
    row("scipy.special.gamma", _complex, second=False),
    of_one("gammaln", positive),
    of_one("loggamma", positive),
    of_one("rgamma", real, case(positive(3))),
    of_one("digamma", positive, case(small(3))),
    of_one("psi", positive),
    row(
        "scipy.special.polygamma",
        case(1, positive(3)),
        case(0, positive(2, 3)),
        case(2, positive()),
        case(np.array([1, 2, 3]), positive(3)),
        case(np.array([0, 1]), positive(2)),
        only_needle=True,
        float32=False,
    ),
    row("scipy.special.multigammaln", case(above_one(3), 2), case(above_one(2, 3), 3), only_needle=True, float32=False),
    of_two("beta", positive, positive),
    of_two("betaln", positive, positive),
    of_two("binom", above_one, small),
    of_two("poch", positive, positive),
    in_the_last("gammainc", positive),
    in_the_last("gammaincc", positive),
    in_the_last("gammaincinv", positive, draw=probability, tolerance=1e-5),
    in_the_last("gammainccinv", positive, draw=probability, tolerance=1e-5),
    in_the_last("betainc", positive, positive, draw=probability),
    in_the_last("betaincc", positive, positive, draw=probability),
    in_the_last("betaincinv", positive, positive, draw=probability, tolerance=1e-5),
    in_the_last("zeta", above_one),
    row(
        "scipy.special.lambertw",
        case(positive(3)),
        case(complex_(3)),
        case(complex_(3), -1),
        case(with_zeros(3)),
        float32=False,
    ),
    # Logistic functions, entropies, losses, powers
    of_one("expit"),
    of_one("logit", probability),
    of_one("log_expit"),
    row("scipy.special.softplus", case(real(3)), case(real(2, 3)), float32=False),
    row(
        "scipy.special.logsumexp",
        case(real(2, 3)),
        case(real(2, 3), axis=1),
        case(real(2, 3), 0, keepdims=True),
        case(real(2, 3), b=positive(2, 3)),
        case(real(2, 3), 1, plain(positive(3))),
        case(real(2, 3), 1, real(3), return_sign=True),
        case(real(2, 3), (0, 1), keepdims=True),
        only_needle=True,
    ),
    row(
        "scipy.special.softmax",
        case(real(2, 3)),
        case(real(2, 3), axis=1),
        case(real(2, 3, 2), (0, 2)),
        only_needle=True,
    ),
    row(
        "scipy.special.log_softmax",
        case(real(2, 3)),
        case(real(2, 3), axis=1),
        case(real(2, 3, 2), (0, 2)),
        only_needle=True,
    ),
    of_two(
        "xlogy",
        real,
        positive,
        case(with_zeros(4), positive(4)),
        case(plain(with_zeros(4)), plain(positive(4))),
        case(complex_(2), complex_(2)),
    ),
    of_two("xlog1py", real, positive, case(with_zeros(4), positive(4))),
    of_one("entr", positive),
    of_two("rel_entr", positive, positive),
    of_two("kl_div", positive, positive),
    of_two("huber", positive, real),
    of_two("pseudo_huber", positive, real),
    of_two("boxcox", positive, real, case(positive(3), 0.0), case(positive(4), with_zeros(4)), tolerance=1e-5),
    of_two("boxcox1p", positive, real, case(positive(3), 0.0), case(positive(4), with_zeros(4))),
    of_two("inv_boxcox", probability, probability, case(probability(3), 0.0)),
    of_two("inv_boxcox1p", probability, probability, case(probability(3), 0.0)),
    of_one("sinc", real, case(with_zeros(4))),
    of_one("cosm1"),
    of_one("cbrt", nonzero),
    of_one("exp2"),
    of_one("exp10"),
    of_one("expm1"),
    of_one("log1p", positive),
    of_one("sindg"),
    of_one("cosdg"),
    of_one("tandg"),
    of_one("cotdg", positive),
    row("scipy.special.radian", case(real(3), real(3), real(3)), case(2.0, real(3), 1.0), float32=False),
    # Bessel functions
    *[of_one(name, real) for name in ("j0", "j1", "i0", "i1")],
    *[of_one(name, nonzero) for name in ("i0e", "i1e")],
    *[of_one(name, positive) for name in ("y0", "y1", "k0", "k0e", "k1", "k1e")],
    *[of_order(name) for name in ("jn", "yn", "kn")],
    *[
        of_order(name, positive, case(1.5, positive(3)), case(2, complex_(3)))
        for name in ("jv", "yv", "iv", "kv", "kve")
    ],
    of_order("ive", nonzero, case(1.5, positive(3))),
    *[of_order(name, positive) for name in ("hankel1", "hankel2", "struve", "modstruve")],
    of_one("airy"),
    in_the_last("hyp0f1", positive, draw=real),
    in_the_last("hyp1f1", positive, positive, draw=real),
    in_the_last("hyperu", positive, above_one),
    in_the_last("hyp2f1", positive, positive, positive, draw=small, tolerance=1e-5),
    # Integrals
    of_one("expi", nonzero),
    of_one("exp1", positive, _complex),
    of_order("expn"),
    of_one("exprel", real, case(with_zeros(4))),
    of_one("sici", positive),
    of_one("shichi", positive),
    of_one("spence", positive, case(Drawn((3,), "ones"))),
    of_one("ellipk", small, case(with_zeros(1))),
    of_one("ellipe", small, case(with_zeros(1))),
    of_one("ellipkm1", probability),
    of_two("ellipkinc", small, probability),
    of_two("ellipeinc", small, probability),
]
DOMAINS["ones"] = lambda rng, shape: np.ones(shape)

ROWS = [*SPECIAL]
