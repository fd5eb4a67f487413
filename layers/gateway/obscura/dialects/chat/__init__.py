"""OpenAI chat completions: the dialect that every upstream speaks."""
