"""The peers at work, each at its best sensible settings and durable as our engine is."""
