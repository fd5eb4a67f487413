"""One module per image format: a bounded walk of its container before any decode."""
