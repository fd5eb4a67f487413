"""The default sink of decision events: one line each in the log."""

import logging

import msgspec

from obscura.policy.events import DecisionEvent

_log = logging.getLogger("obscura")


class LogSink:
    """Implements ``EventSink`` by the log, on standard output."""

    def put(self, event: DecisionEvent) -> None:
        """Write the event as a line."""
        _log.info("policy_event", extra={"fields": {"event": msgspec.Raw(msgspec.json.encode(event))}})
