"""GPUs: which there are, who gets which and for how long, and the line of those who wait."""
