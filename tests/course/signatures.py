"""Compares a function's signature with the contract's, which is written as its list of parameters."""

from inspect import Parameter, signature

import needle as ndl

BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL)


def assert_signature(function, contract):
    """Every call that the contract allows is allowed: same names, places and defaults, and nothing more is required."""
    given = signature(function).parameters
    wanted = signature(eval(f"lambda {contract}: None", {"ndl": ndl})).parameters
    in_place = [name for name, parameter in wanted.items() if parameter.kind in BY_POSITION]
    assert list(given)[: len(in_place)] == in_place
    for name, parameter in wanted.items():
        assert name in given
        assert given[name].kind == parameter.kind
        if parameter.default is not Parameter.empty:
            assert given[name].default == parameter.default
    for name, parameter in given.items():
        variable = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        assert name in wanted or variable or parameter.default is not Parameter.empty
