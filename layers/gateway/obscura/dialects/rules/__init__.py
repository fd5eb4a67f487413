"""Rules: what each field of a request is allowed to hold, and which of it is moderated as text."""
