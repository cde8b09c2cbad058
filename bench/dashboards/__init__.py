"""Dashboards through our gateway beside Voilà, plain and preheated."""
