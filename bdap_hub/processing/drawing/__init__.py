"""From values to pictures."""
