"""What is shown before a release runs: its page and files as kept on disk, and its picture."""
