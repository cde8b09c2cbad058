"""Root's part on each machine that runs servers: a few things, for the hub alone, to containers of this platform alone.

It stands by itself: only the standard library, so that a machine needs Python and this folder, nothing of the platform.
"""
