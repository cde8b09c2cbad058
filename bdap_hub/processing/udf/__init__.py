"""Code of people, run in sandboxes: what is sent and checked, the container, and who gets which worker."""
