"""Moderation: images and text are reviewed before anything goes to a model."""
