"""Stored images: files by id, uploads in parts, and their prepared forms."""
