"""The STAC catalogue over the mounted store: ingest writes it, the service searches it.

Metadata only: pixels are read by others, where they lie.
"""
