"""What runs a release, isolated from everybody, for as long as somebody looks at it."""
