"""Every figure the README states, each measured against its peer in the same run."""
