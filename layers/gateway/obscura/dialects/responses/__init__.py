"""OpenAI Responses (API reference, "Create a model response"): read, translated to chat completions and back."""
