"""Servers for people: what may be started, as a plan (plan.py); who carries it out: Docker, or plain processes."""

from .plan import Choice, Limits, Mount, Site, SpawnPlan, choices, plan, wish

__all__ = ["Choice", "Limits", "Mount", "Site", "SpawnPlan", "choices", "plan", "wish"]
