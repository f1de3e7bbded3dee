"""A law with some of its parameters known: the others are fitted as those of any law."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from scaling_lab.science.laws import Array, Law, LogForm


def fix_parameters(law: Law, values: Mapping[str, float]) -> Law:
    """`law` with `values` in place of the parameters they name; its derivatives are those of `law`.

    Raises:
        ValueError: a name that is no parameter of the law, a value that the parameter cannot take, or nothing left to
            fit.
    """
    known = dict(values)
    unknown = [name for name in known if name not in law.parameter_names]
    if unknown:
        raise ValueError(f"{law.name} has no parameter {unknown[0]!r}; it has {', '.join(law.parameter_names)}")
    left = tuple(parameter for parameter in law.parameters if parameter.name not in known)
    if not left:
        raise ValueError(f"every parameter of {law.name} is fixed; nothing is left to fit")
    _check_values(law, known)
    if not known:
        return law
    return replace(
        law,
        parameters=left,
        function=partial(law.function, **known),
        log_form=_log_form(law, known),
        derived={name: _with(function, known) for name, function in law.derived.items()},
        offset=None if law.offset in known else law.offset,
    )


def _check_values(law: Law, known: Mapping[str, float]) -> None:
    """An offset may be 0; all else that a law has is positive. Bounds do not hold: they are the optimiser's."""
    for name, value in known.items():
        least = "0 or more" if name == law.offset else "a positive number"
        if not (np.isfinite(value) and value >= 0 and (value > 0 or name == law.offset)):
            raise ValueError(f"{name} = {value:g}; allowed: {least}")


def _log_form(law: Law, known: Mapping[str, float]) -> LogForm:
    free = [j for j, name in enumerate(law.parameter_names) if name not in known]
    whole = law.theta({**dict.fromkeys(law.parameter_names, 1.0), **known})

    def log_form(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
        full = np.tile(whole, (len(theta), 1))
        full[:, free] = theta
        value, jacobian = law.log_prediction(full, logs)
        return value, jacobian[:, free]

    return log_form


def _with(function: Callable[[Mapping[str, Any]], Any], known: Mapping[str, float]) -> Callable[..., Any]:
    return lambda parameters: function({**parameters, **known})
