"""What can be done to a TiKV cluster: one class an action, grouped by what it changes."""
