"""The fault language: what can be done to a simulated cluster, by name and time, as data."""
