"""Where decision events go: they are chained, logged, buffered, and sent to the operator's sinks in the background."""
