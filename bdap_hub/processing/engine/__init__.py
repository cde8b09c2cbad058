"""Evaluates compiled graphs on grids: reading, sampling, the chain itself."""
