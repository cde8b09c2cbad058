"""Batch jobs: their state, the contract of what runs them, and a runner with a process of its own for each."""
