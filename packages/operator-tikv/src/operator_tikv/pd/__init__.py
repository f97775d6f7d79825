"""The client of PD's HTTP API: what PD says, in types, and what its errors mean."""
