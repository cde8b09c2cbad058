"""From a bundle to a live version: what it may have, whether it works, who approves it."""
