"""The child process that renders one PDF: without site-packages, so nothing here imports Obscura or a library."""
