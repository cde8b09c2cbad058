"""Search of the catalogue beside stac-fastapi's own back ends, over the same made-up items."""
