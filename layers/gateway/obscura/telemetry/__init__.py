"""What ``serve`` and the container show of their work: sizes, counts, codes; never content."""
