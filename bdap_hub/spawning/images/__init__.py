"""The images of servers: built, looked into, handed on and fetched; a project's own in `building`."""
