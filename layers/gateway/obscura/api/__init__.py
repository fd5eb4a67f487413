"""The HTTP API: the ASGI application, its endpoint families, and what surrounds every request."""
