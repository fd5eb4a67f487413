"""What ``serve`` and the container show of their work: metrics and traces of sizes, counts, codes; never content."""
