"""Diagnosis and the agent that acts on it."""
