"""The objects of a chat completion request, as other dialects build them (API reference, "Create chat completion")."""

from msgspec import Raw

from obscura.dialects.json.raw import TRUE, Node, RawObject, quoted

STREAM_FIELDS: RawObject = {"stream": TRUE, "stream_options": {"include_usage": TRUE}}
"""A stream whose last chunk has the usage."""


def chat_message(role: bytes, content: Node) -> RawObject:
    """Build a message of a role."""
    return {"role": quoted(role), "content": content}


def content_part(kind: str, value: Node) -> RawObject:
    """Build a content part, whose type is also the key of its value: text, image_url, file, refusal."""
    return {"type": quoted(kind.encode()), kind: value}


def tool_message(call_id: Node, content: Node) -> RawObject:
    """Build the message that has the result of a tool call."""
    return {"role": quoted(b"tool"), "tool_call_id": call_id, "content": content}


def tool_call(call_id: Node, name: Node, arguments: Raw) -> RawObject:
    """Build a tool call of an assistant message; ``arguments`` is a JSON string that has JSON text."""
    return {"id": call_id, "type": quoted(b"function"), "function": {"name": name, "arguments": arguments}}


def function_tool(function: RawObject) -> RawObject:
    """Build a tool, or the choice of a tool, from the fields of its function."""
    return {"type": quoted(b"function"), "function": function}


def custom_tool(custom: RawObject) -> RawObject:
    """Build a custom tool, or the choice of one, from its fields."""
    return {"type": quoted(b"custom"), "custom": custom}


def custom_tool_call(call_id: Node, name: Node, text: Node) -> RawObject:
    """Build a call of a custom tool of an assistant message."""
    return {"id": call_id, "type": quoted(b"custom"), "custom": {"name": name, "input": text}}


def json_schema_format(json_schema: RawObject) -> RawObject:
    """Build a response_format from a name, a schema and their options."""
    return {"type": quoted(b"json_schema"), "json_schema": json_schema}
