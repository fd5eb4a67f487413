"""OpenAI chat completions: the dialect that every upstream speaks, and that the others are translated to."""
