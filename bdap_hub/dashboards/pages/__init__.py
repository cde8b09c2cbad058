"""What people see on the hub's origin: the gallery, and a dashboard's own page."""
