"""What the apps that minimise share: SciPy asked for in plain words where it is missing."""


def load_optimize():
    """`scipy.optimize`.

    Raises:
        SystemExit: SciPy is not installed; the message says how to install it.
    """
    try:
        from scipy import optimize
    except ModuleNotFoundError as error:
        raise SystemExit(
            "The minimisers are SciPy's, which is not installed. Install it with\n"
            "    pip install 'needle-autodiff[scipy]'"
        ) from error
    return optimize
