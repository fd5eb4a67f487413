"""AWS: Lambda's two doors to the application, streamed over a runtime of our own and buffered through Mangum."""
