"""Moderation of images and text."""
