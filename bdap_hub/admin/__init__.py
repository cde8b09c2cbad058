"""The admin panel: people, servers, dashboards and the audit log, for members of the admins' group only."""
