"""Incidents as files: packed, checked, replayed, and told as a timeline."""
