"""The shared engine: one PostgreSQL database for operators on several machines."""
