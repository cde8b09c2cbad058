"""The notebook library of the platform: collections, lazy cubes (openEO process graphs) and maps."""

__version__ = "0.1.0"
