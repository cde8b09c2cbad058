"""Containers that are started ahead and wait for a person: what they are made of, how many, and how one is claimed."""

from __future__ import annotations

from .pool import WarmPool, pool_of

__all__ = ["WarmPool", "pool_of"]
