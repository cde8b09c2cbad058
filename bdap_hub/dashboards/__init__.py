"""Dashboards: bundle, release, runtime, gallery and the gateway that serves each dashboard on its own origin."""
