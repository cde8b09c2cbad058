"""Projects beyond the operator's settings: kept in the database, edited by administrators and leads.

Between the database and the rooms, which all ask `policy` here; who may edit what, `access` decides.
"""

from .reading import policy, projects, ready

__all__ = ["policy", "projects", "ready"]
