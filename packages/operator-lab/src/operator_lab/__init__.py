"""The lab: scenarios played through the whole loop in virtual time, and marked."""
