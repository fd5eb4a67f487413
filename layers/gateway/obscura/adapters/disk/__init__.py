"""Disk: the bytes of stored files on one machine, below the data folder."""

from obscura.adapters.disk.contents import DiskContents

__all__ = ["DiskContents"]
