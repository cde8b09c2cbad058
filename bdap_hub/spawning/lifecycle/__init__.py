"""What becomes of servers that run: idle, lost or ended ones, and how their person is told why."""
