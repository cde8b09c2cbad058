"""Root's part on a machine."""
