"""Everything on one machine: embedded OpenID provider, people, data, first run. May import every room; nobody imports it."""
