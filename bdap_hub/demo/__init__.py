"""Everything on one machine: OpenID provider, people, data, first run. May import all rooms; none imports it."""
