"""Does a PD speak as we assume? A script of reads, and the shape that each answer should have."""
