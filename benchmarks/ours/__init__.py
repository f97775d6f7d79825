"""Our own engine at work."""
