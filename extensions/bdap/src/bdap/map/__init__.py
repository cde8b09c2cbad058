"""The map: cubes, features and other map services as layers, what a click and a drawing tell, and charts beside it."""

from __future__ import annotations

from .legends import message_html
from .widget import Map

__all__ = ["Map", "message_html"]
