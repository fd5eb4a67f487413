"""The ``text`` field as chat completions has it: response_format and verbosity."""

from obscura.wire.fields import required_text
from obscura.wire.raw_body import RawBody, RawObject, is_null, members, raw_string
from obscura.wire.responses.to_chat.carrying import refuse_others, set_fields, string_leaf, unsupported

_SCHEMA_FIELDS = ("name", "description", "schema", "strict")


def chat_text_fields(body: RawBody) -> RawObject:
    """Write ``response_format`` and ``verbosity``; raises UnsupportedField, or InvalidRequest on a malformed field."""
    leaf = body.root.get("text")
    if leaf is None or is_null(leaf):
        return {}
    text = members(leaf, "text")
    refuse_others(text, ("format", "verbosity"), "text")
    if not is_null(text.get("verbosity")):
        string_leaf(text, "verbosity", "text")
    return set_fields(response_format=_response_format(body, text), verbosity=text.get("verbosity"))


def _response_format(body: RawBody, text: RawObject) -> RawObject | None:
    leaf = text.get("format")
    if leaf is None or is_null(leaf):
        return None
    wanted = members(leaf, "text.format")
    match required_text(body, wanted, "type", "text.format"):
        case "text":
            refuse_others(wanted, ("type",), "text.format")
            return None
        case "json_object":
            refuse_others(wanted, ("type",), "text.format")
            return {"type": raw_string(b"json_object")}
        case "json_schema":
            refuse_others(wanted, ("type", *_SCHEMA_FIELDS), "text.format")
            required_text(body, wanted, "name", "text.format")
            members(wanted.get("schema", raw_string(b"")), "text.format.schema")
            schema = set_fields(**{key: wanted.get(key) for key in _SCHEMA_FIELDS})
            return {"type": raw_string(b"json_schema"), "json_schema": schema}
        case _:
            raise unsupported("text.format.type")
