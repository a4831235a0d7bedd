"""The base of each group of settings."""

from pydantic import BaseModel, ConfigDict


class SettingsGroup(BaseModel):
    """A frozen group of settings; the alias of a field is its environment variable."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
