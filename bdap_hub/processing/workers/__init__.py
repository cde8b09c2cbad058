"""Processes that draw tiles for the service, each of one processor, with a cache of its own and no secret."""
