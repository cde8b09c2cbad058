"""Fuzzes the processing service: generated process graphs, and whatever its OpenAPI document lets one send."""
