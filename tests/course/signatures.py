"""Compares a function's signature with the contract's, which is written as a lambda."""

from inspect import Parameter, signature


def assert_signature(function, contract):
    """Same names, kinds and defaults; keyword-only parameters in any order. What is added must be optional."""
    given, wanted = signature(function).parameters, signature(contract).parameters
    assert [(p.name, p.kind, p.default) for p in given.values() if p.name in wanted and p.kind != p.KEYWORD_ONLY] == [
        (p.name, p.kind, p.default) for p in wanted.values() if p.kind != p.KEYWORD_ONLY
    ]
    for name, parameter in wanted.items():
        assert name in given and (given[name].kind, given[name].default) == (parameter.kind, parameter.default)
    positional = [p.name for p in given.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert positional[: len(wanted)] == [name for name in wanted if name in positional]
    for parameter in given.values():
        variable = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        assert parameter.name in wanted or variable or parameter.default is not Parameter.empty
