"""Whole results on the data's own pixels: grids, evaluation in blocks, files, STAC, values of areas and lines."""
