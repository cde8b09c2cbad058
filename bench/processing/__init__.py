"""The processing service beside TiTiler and titiler-openeo: same files, tiles and size."""
