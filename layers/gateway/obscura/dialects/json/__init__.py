"""JSON request bodies as trees of raw slices."""
