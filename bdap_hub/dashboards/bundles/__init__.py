"""What is published: a folder and its manifest, checked for secrets, uploaded in pieces and kept immutable."""
