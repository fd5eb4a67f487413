"""Wire: one module per dialect, JSON and SSE as they travel, and nothing else."""
