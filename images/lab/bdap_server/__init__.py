"""How a person's server begins in this image: `slim` at once, `warm` when a waiting container is claimed."""
