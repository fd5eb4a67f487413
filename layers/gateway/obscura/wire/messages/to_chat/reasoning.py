"""How much the model is to think: Anthropic's thinking and effort as chat's ``reasoning_effort``.

``output_config.effort`` is carried by its name, xhigh and max as high, the most that every upstream knows. Without
one, a thinking budget below 4,096 tokens is low, below 16,384 medium, from there on high; adaptive thinking leaves it
to the model. Disabled thinking leaves it too, as few upstreams have a word for none, but what is thought is not shown.
"""

from dataclasses import dataclass

from msgspec import Raw

from obscura.errors import InvalidRequest
from obscura.wire.messages.fields import chosen, object_at, refuse_others, required_count, text_of, unsupported
from obscura.wire.raw_body import RawBody, RawObject, is_null, raw_string

MEDIUM_FROM_TOKENS = 4_096
HIGH_FROM_TOKENS = 16_384
_EFFORTS = {"low": b"low", "medium": b"medium", "high": b"high", "xhigh": b"high", "max": b"high"}
_KINDS = ("enabled", "adaptive", "disabled")


@dataclass(frozen=True, slots=True)
class Thinking:
    """What was asked of thinking; ``budget_tokens`` only where it was enabled; ``shown`` unless it is not wanted."""

    budget_tokens: int | None = None
    shown: bool = True


def read_thinking(root: RawObject, body: RawBody) -> Thinking:
    """Read ``thinking``; raises InvalidRequest, or UnsupportedField on a kind that chat does not have."""
    if is_null(root.get("thinking")):
        return Thinking()
    config = object_at(root, "thinking")
    refuse_others(config, ("type", "budget_tokens", "display"), "thinking")
    kind = text_of(config.get("type"), body)
    if kind == "between_tools":
        raise unsupported("thinking.type", f"Send one of {', '.join(_KINDS)}.")
    chosen(config, "type", _KINDS, body, "thinking")
    omitted = (
        not is_null(config.get("display"))
        and chosen(config, "display", ("summarized", "omitted"), body, "thinking") == "omitted"
    )
    if kind != "enabled":
        return Thinking(shown=kind == "adaptive" and not omitted)
    budget_tokens = required_count(config, "budget_tokens", "thinking")
    if budget_tokens < 1:
        raise InvalidRequest("'thinking.budget_tokens' must be at least 1.", param="thinking.budget_tokens")
    return Thinking(budget_tokens, shown=not omitted)


def reasoning_effort(root: RawObject, thinking: Thinking, body: RawBody) -> Raw | None:
    """Give the effort, or None to leave it to the model."""
    config = object_at(root, "output_config")
    if not is_null(config.get("effort")):
        return raw_string(_EFFORTS[chosen(config, "effort", _EFFORTS, body, "output_config")])
    if thinking.budget_tokens is None:
        return None
    if thinking.budget_tokens < MEDIUM_FROM_TOKENS:
        return raw_string(b"low")
    return raw_string(b"medium" if thinking.budget_tokens < HIGH_FROM_TOKENS else b"high")
