"""Validation of what a user wrote, with one clear line for each bad key."""

from typing import Any, TypeVar

from pydantic import ValidationError

from scaling_lab.errors import ConfigError
from scaling_lab.frozen import Frozen

Model = TypeVar("Model", bound=Frozen)


def parse_config(model: type[Model], raw: dict[str, Any], origin: str) -> Model:
    """Validate `raw`, read from `origin`.

    Raises:
        ConfigError: one line for each bad key: its path, what is wrong, and the value.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(detail) for detail in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from None


def _explain(detail: Any) -> str:
    path = ".".join(str(part) for part in detail["loc"]) or "(top level)"
    if detail["type"] == "extra_forbidden":
        return f"{path}: unknown key"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{path}: {message} (got {detail['input']!r})"
