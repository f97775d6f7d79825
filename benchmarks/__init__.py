"""The benchmarks: our engine beside its peers, in one go on one machine (`make bench`)."""
