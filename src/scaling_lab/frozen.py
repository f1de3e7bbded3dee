"""The base of every model of a spec or of the configuration."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable model that refuses unknown keys: base of specs and configuration alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")
