"""PD's HTTP API version 1 as pure functions from a call to an answer."""
