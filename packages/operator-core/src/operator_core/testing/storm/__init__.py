"""The storm: processes that use the engine, struck at random moments, and what the end must be.

The crash test strikes at each named point; here the moments are nobody's choice but a seed's.
"""
