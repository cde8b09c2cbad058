"""Whether a person's server has the GitLab panel: where the platform names its GitLab (BDAP_GITLAB_URL)."""

import json
import os
from collections.abc import MutableMapping
from pathlib import Path

PANEL, SERVER_PART = "jupyterlab-gitlab", "bdap_server.gitlab"


def turn_on(environment: MutableMapping[str, str]) -> None:
    """Let Jupyter find the settings that show it; without them it is off, by the image's own settings."""
    url = environment.get("BDAP_GITLAB_URL", "").rstrip("/")
    if not url:
        return
    folder = Path(environment.get("JUPYTER_RUNTIME_DIR") or "/tmp") / "bdap-gitlab"
    for name, content in {
        "jupyter_server_config.d/bdap_gitlab": {"ServerApp": {"jpserver_extensions": {SERVER_PART: True}}},
        "labconfig/page_config": {"disabledExtensions": {PANEL: False}},
        "labconfig/default_setting_overrides": {f"{PANEL}:drive": {"baseUrl": url}},
    }.items():
        file = folder / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    before = environment.get("JUPYTER_CONFIG_PATH")
    environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, (str(folder), before)))
