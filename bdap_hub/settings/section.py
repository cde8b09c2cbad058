"""What all parts of the tree are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from ..errors import BadSettings
from ..units import bytes_of


def _bytes(text: str) -> str:
    """Bytes are kept as people write them."""
    try:
        if bytes_of(text) > 0:
            return text
    except BadSettings:
        pass
    raise ValueError(f"{text!r} is no size: write it as 512M or 2G")


Bytes = Annotated[str, AfterValidator(_bytes)]


class Section(BaseModel):
    """A part of the tree: unknown names are refused, so that a typing error never passes silently."""

    model_config = ConfigDict(extra="forbid")
