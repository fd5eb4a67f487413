"""What a response repeats of its request: every other field that the API's own schema has, null where unset."""

from msgspec import Raw

from obscura.wire.raw_body import Node, RawBody, RawObject, is_null, members
from obscura.wire.responses.to_chat.tools import Tools

_NULL = Raw(b"null")
_AS_SENT = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_p",
    "user",
)
_NEVER_SET = (
    "access_programs",
    "conversation",
    "image",
    "input_transformations",
    "moderation",
    "previous_response_id",
    "prompt",
    "prompt_cache_diagnostics",
    "prompt_cache_options",
    "tool_usage",
    "top_logprobs",
)


def echo_members(body: RawBody, tools: Tools) -> bytes:
    """Write the members of a response that its request decides, as JSON without the braces around them.

    Values are the caller's own bytes (API reference, "The response object").
    """
    root = body.root
    echo: RawObject = dict.fromkeys(_NEVER_SET, _NULL)
    echo |= {key: _sent(root, key) for key in _AS_SENT}
    echo |= {
        "background": Raw(b"false"),
        "metadata": _sent(root, "metadata", Raw(b"{}")),
        "parallel_tool_calls": _sent(root, "parallel_tool_calls", Raw(b"true")),
        "reasoning": _chosen(root, "reasoning", effort=_NULL, summary=_NULL),
        "store": Raw(b"false"),
        "text": _chosen(root, "text", format=Raw(b'{"type":"text"}'), verbosity=_NULL),
        "tool_choice": _sent(root, "tool_choice", Raw(b'"auto"')),
        "tools": tools.echo(),
        "truncation": Raw(b'"disabled"'),
    }
    return body.render(echo)[1:-1]


def _sent(root: RawObject, key: str, default: Node = _NULL) -> Node:
    leaf = root.get(key)
    return default if leaf is None or is_null(leaf) else leaf


def _chosen(root: RawObject, key: str, **defaults: Node) -> RawObject:
    leaf = root.get(key)
    sent = {} if leaf is None or is_null(leaf) else members(leaf, key)
    return {name: _sent(sent, name, default) for name, default in defaults.items()}
