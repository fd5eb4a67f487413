"""JSON request bodies as trees of raw slices, and the readers of their fields."""
