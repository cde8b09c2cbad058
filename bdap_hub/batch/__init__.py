"""Batch: the same process graph, or any command, on HTCondor. Nothing runs here yet: see the changelog."""
