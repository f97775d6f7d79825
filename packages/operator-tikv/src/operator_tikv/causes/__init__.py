"""The catalogue of causes, by what they are about."""
