"""Canaries: planted bad actions by which the guards of the gate prove that they are alive."""
