"""OpenAI's images API: requests for generated and edited images, and their answers."""
