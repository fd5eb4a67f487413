"""Why the model stopped, from what chat tells of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from obscura.wire.chat_answer import Choice


@dataclass(frozen=True, slots=True)
class Stop:
    """``sequence`` only where the reason is stop_sequence."""

    reason: str
    sequence: str | None = None


def matched_sequence(choice: Choice, stop_sequences: Sequence[str]) -> str | None:
    """Give the stop sequence that a choice says it met; most upstreams do not tell, and the answer just ended."""
    for told in (choice.stop_reason, choice.matched_stop):
        if isinstance(told, str) and told in stop_sequences:
            return told
    return None


def stop_of(finish_reason: str | None, called: bool, refused: bool, sequence: str | None) -> Stop:
    """Give the stop reason: ``called`` when there are tool calls, ``refused`` when there is a refusal's text."""
    if finish_reason == "length":
        return Stop("max_tokens")
    if refused or finish_reason == "content_filter":
        return Stop("refusal")
    if called:
        return Stop("tool_use")
    return Stop("stop_sequence", sequence) if sequence is not None else Stop("end_turn")
