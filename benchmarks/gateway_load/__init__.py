"""Loads gateways with the requests that people send, all in front of one fake upstream, and compares what they add."""
