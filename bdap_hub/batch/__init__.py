"""Hands work over to an HTCondor pool and follows it. Knows no room: what the work is, others say."""
