"""The door between visitors and a release: who comes in, what may be said, how fast."""
