"""Releases on further machines: what is asked of one, who asks, who answers, and which machine a release runs on."""
