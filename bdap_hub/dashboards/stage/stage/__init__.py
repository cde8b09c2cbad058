"""Runs inside a dashboard's sandbox: executes the notebook once and gives each visitor a fork of what came of it.

Nothing of the hub is here: standard library and what the dashboard's image has.
"""
