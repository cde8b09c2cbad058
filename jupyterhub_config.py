"""JupyterHub's own configuration file: everything lives in the settings tree (bdap.yaml, BDAP_*)."""

from bdap_hub import hub, settings

hub.configure(c, settings.load())  # noqa: F821  JupyterHub hands us `c`
