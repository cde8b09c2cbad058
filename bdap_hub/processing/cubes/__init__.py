"""What graphs compute with: data cubes, values, extents, geometries. PURE."""
