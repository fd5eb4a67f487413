"""Upstreams: the servers of models, the dialects that they speak, and the catalog of their models."""
