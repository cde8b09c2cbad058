"""What of the store a server sees: its mounts, their health, people's credentials for it, and homes."""
