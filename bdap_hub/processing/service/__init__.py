"""The HTTP service: routes, state, rights, the catalogue's client."""
