"""Attacks on a served gateway, and the ordinary callers that they are measured by."""
