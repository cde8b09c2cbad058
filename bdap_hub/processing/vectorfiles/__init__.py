"""Geometries with their properties in files: GeoJSON, CSV and GeoParquet."""
