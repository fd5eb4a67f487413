"""Decision events on their way out: chained, logged, buffered, and sent to the operator's sinks in the background."""
