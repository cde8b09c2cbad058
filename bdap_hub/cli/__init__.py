"""The command line `bdap`: `root` gathers the commands, each other file holds one group of them."""

from .root import main

__all__ = ["main"]
