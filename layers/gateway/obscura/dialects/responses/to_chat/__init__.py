"""A Responses request as a chat completion request; what cannot be carried is refused by name."""
