"""Adapters: the outside world behind the pipeline's ports."""
