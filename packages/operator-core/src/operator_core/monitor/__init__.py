"""Watching a cluster: invariants, violations, tickets."""
