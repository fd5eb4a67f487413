"""Structured output: ``output_config.format`` (once ``output_format``) as chat's ``response_format``."""

from msgspec import Raw

from obscura.wire.messages.fields import chosen, joined, object_at, refuse_others, required_object, unsupported
from obscura.wire.raw_body import RawBody, RawObject, is_null, raw_string

SCHEMA_NAME = b"output"
_TRUE = Raw(b"true")


def response_format(root: RawObject, body: RawBody) -> RawObject | None:
    """Give the response_format, or None where no format is asked for; Anthropic's formats are always strict."""
    config = object_at(root, "output_config")
    refuse_others(config, ("effort", "format"), "output_config")
    former = not is_null(root.get("output_format"))
    if former and not is_null(config.get("format")):
        raise unsupported("output_format", "It is the former name of output_config.format; send one of them.")
    holder, key, above = (root, "output_format", "") if former else (config, "format", "output_config")
    if is_null(holder.get(key)):
        return None
    wanted, path = object_at(holder, key, above), joined(above, key)
    refuse_others(wanted, ("type", "schema"), path)
    chosen(wanted, "type", ("json_schema",), body, path)
    schema = required_object(wanted, "schema", path)
    named: RawObject = {"name": raw_string(SCHEMA_NAME), "strict": _TRUE, "schema": schema}
    return {"type": raw_string(b"json_schema"), "json_schema": named}
