"""Who has a part in a dashboard beyond its project, and how whoever comes becomes known at its own origin."""
