"""The etcd subject, for real clusters."""
