"""OpenAI Responses (API reference, "Create a model response"): requests parsed and translated to chat, answers back."""
