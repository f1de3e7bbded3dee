"""A law with some of its parameters known: the others are fitted as those of any law."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from scaling_lab.science.laws import Law


def fix_parameters(law: Law, values: Mapping[str, float]) -> Law:
    """`law` with `values` in place of the parameters they name; its derivatives come from the complex step.

    Raises:
        ValueError: a name that is no parameter of the law, or nothing left to fit.
    """
    unknown = [name for name in values if name not in law.parameter_names]
    if unknown:
        raise ValueError(f"{law.name} has no parameter {unknown[0]!r}; it has {', '.join(law.parameter_names)}")
    left = tuple(parameter for parameter in law.parameters if parameter.name not in values)
    if not left:
        raise ValueError(f"every parameter of {law.name} is fixed; nothing is left to fit")
    if not values:
        return law
    known = dict(values)
    return replace(
        law,
        parameters=left,
        function=partial(law.function, **known),
        log_form=None,
        derived={name: _with(function, known) for name, function in law.derived.items()},
        offset=None if law.offset in known else law.offset,
    )


def _with(function: Callable[[Mapping[str, Any]], Any], known: Mapping[str, float]) -> Callable[..., Any]:
    return lambda parameters: function({**parameters, **known})
