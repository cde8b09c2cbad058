"""JupyterHub's own configuration file: everything lives in the settings tree (bdap.yaml, BDAP_*)."""

import sys

from bdap_hub import hub, settings
from bdap_hub.errors import BdapError

try:
    hub.configure(c, settings.load())  # noqa: F821  JupyterHub hands us `c`
except BdapError as error:
    sys.exit(f"The hub does not start: {error.message}. What you can do: {error.remedy}.")
