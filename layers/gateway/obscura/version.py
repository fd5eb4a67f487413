"""The version, in one place: hatchling reads it from here, and a Lambda layer has no package metadata to ask."""

__version__ = "0.1.0"
