"""The twin of a TiKV cluster: an analytic model of what an observation shows of it."""
