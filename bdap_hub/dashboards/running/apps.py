"""How Panel and Solara apps are started: by their own server, which asks nothing of the internet. PURE."""

from __future__ import annotations

# At the root of the dashboard's address, which `panel serve` has no way to say. Its websocket comes from the gateway,
# which checks origins and sends none.
_PANEL = """
import sys
import panel
entry, address, port = sys.argv[1:]
sys.argv[1:] = []
panel.serve({"/": entry}, address=address, port=int(port), show=False)
"""
ENVIRONMENT = {
    "BOKEH_RESOURCES": "server",
    "SOLARA_TELEMETRY_MIXPANEL_ENABLE": "false",
    "SOLARA_KERNEL_CULL_TIMEOUT": "2m",  # a page that is gone
}


def app_command(kind: str, entry: str, address: str, port: int) -> list[str]:
    """Modules beside the entry are found by the app, and stand in for none of those that run it (-P)."""
    if kind == "panel":
        return ["python", "-P", "-c", _PANEL, entry, address, str(port)]
    listens = ["--host", address, "--port", str(port)]
    return ["python", "-P", "-m", "solara", "run", entry, "--production", "--no-open", *listens]
