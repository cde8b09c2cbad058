"""Tables of PostGIS as features and vector tiles, for maps."""
