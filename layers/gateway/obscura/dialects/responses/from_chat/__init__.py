"""A chat completion, whole or streamed, as a response."""
