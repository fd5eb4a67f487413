"""Lambda: the handler of a function, buffered over AWS's runtime and Mangum or streamed over our own runtime."""
