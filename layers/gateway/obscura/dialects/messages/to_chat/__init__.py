"""A Messages request as a chat completion request (docs/fields-messages.md has the table)."""
