"""Tests of servers: plans, engines, GPUs, the store, images, pages."""
