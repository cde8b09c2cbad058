"""BDAP Hub: brings people to big data. The architecture is the folder list; docs/explanation tells why."""

__version__ = "0.1.0"
