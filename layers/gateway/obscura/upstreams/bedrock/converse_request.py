"""A chat completion request as Converse's (Bedrock API reference, "Converse"; docs/bedrock.md has the table).

What Converse cannot carry is a 400 that names it, but for hints, which say nothing about the answer (ADR 11).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from obscura.errors import InvalidRequest
from obscura.upstreams.base import ModelOptions
from obscura.upstreams.bedrock.converse_messages import (
    ConverseMessages,
    is_set,
    items,
    mapping,
    refuse_others,
    text_of,
    unsupported,
)
from obscura.upstreams.bedrock.models import ANTHROPIC, CACHING_FAMILIES, family_of
from obscura.upstreams.bedrock.spliced import SplicedJson

_CARRIED = frozenset(
    (
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature"),
        *("top_p", "top_k", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format"),
        *("reasoning_effort", "thinking", "service_tier", "guardrailConfig", "performanceConfig"),
    )
)
_HINTS = frozenset(
    (
        *("user", "safety_identifier", "metadata", "store", "prompt_cache_key", "prompt_cache_retention"),
        *("prompt_cache_options", "cache_control", "client_metadata", "verbosity"),
    )
)
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": (["text"],),
}
"""Values that ask for what every answer is."""
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_TIERS = ("flex", "priority")
_GUARDRAIL = ("guardrailIdentifier", "guardrailVersion", "streamProcessingMode", "trace")


@dataclass(frozen=True, slots=True)
class ConverseRequest:
    """A request in Converse's JSON, and what of it the reading of its answer needs."""

    model: str
    upstream_id: str
    body: bytes
    includes_usage: bool


def one_of(holder: Mapping[str, Any], key: str, choices: Collection[str], path: str) -> str:
    """Return a field that is one of ``choices``; raises InvalidRequest, naming them, for anything else."""
    value = holder.get(key)
    if not isinstance(value, str) or value not in choices:
        raise InvalidRequest(f"'{path}' must be one of {', '.join(choices)}.", param=path)
    return value


def model_of(root: Mapping[str, Any]) -> str:
    """Return the id of the model that a chat request names."""
    return text_of(root.get("model"), "model")


def to_converse(
    body: bytes, models: Mapping[str, ModelOptions], guardrail: tuple[str, str] | None, *, streamed: bool
) -> ConverseRequest:
    """Translate a chat request; raises UnsupportedOperation, InvalidRequest, TooManyImages or ImageTooLarge."""
    spliced = SplicedJson(body)
    root = spliced.root
    model = model_of(root)
    options = models.get(model) or ModelOptions(model)
    family = family_of(options)
    _refuse_fields(root)
    writer = ConverseMessages(spliced, caches=family in CACHING_FAMILIES)
    for index, message in enumerate(items(root.get("messages"), "messages")):
        writer.add(mapping(message, f"messages[{index}]"), f"messages[{index}]")
    tree: dict[str, Any] = {"messages": writer.messages}
    if writer.system:
        tree["system"] = writer.system
    fields = {
        "inferenceConfig": _inference(root, options),
        "toolConfig": _tools(root, writer),
        "outputConfig": _output(root),
        "additionalModelRequestFields": _additional(root, family) | dict(options.additional_fields),
        "guardrailConfig": _guardrail(root, guardrail, streamed=streamed),
        "performanceConfig": _performance(root),
        "serviceTier": _service_tier(root),
    }
    tree |= {key: value for key, value in fields.items() if value}
    stream_options = root.get("stream_options") or {}
    includes_usage = isinstance(stream_options, dict) and stream_options.get("include_usage") is True
    return ConverseRequest(model, options.upstream_id, spliced.render(tree), includes_usage)


def _service_tier(root: Mapping[str, Any]) -> dict[str, str] | None:
    tier = root.get("service_tier")
    return {"type": tier} if tier in _TIERS else None  # auto and default are what is served anyway


def _performance(root: Mapping[str, Any]) -> dict[str, Any] | None:
    asked = root.get("performanceConfig")
    if not is_set(asked):
        return None
    fields = mapping(asked, "performanceConfig")
    refuse_others(fields, ("latency",), "performanceConfig")
    return {"latency": one_of(fields, "latency", ("standard", "optimized"), "performanceConfig.latency")}


def _name_of(tool: dict[str, Any]) -> object:
    function = tool.get("function")
    return function.get("name") if isinstance(function, dict) else None


def _refuse_fields(root: Mapping[str, Any]) -> None:
    for key, value in root.items():
        if key in _CARRIED or key in _HINTS or not is_set(value):
            continue
        if value not in _NEUTRAL.get(key, ()):
            raise unsupported(key[:100], "Leave it out, or choose a model of another upstream.")


def _inference(root: Mapping[str, Any], options: ModelOptions) -> dict[str, Any]:
    limit = root.get("max_completion_tokens") or root.get("max_tokens") or options.max_output
    stop = root.get("stop")
    fields = {
        "maxTokens": limit,
        "temperature": root.get("temperature"),
        "topP": root.get("top_p"),
        "stopSequences": [stop] if isinstance(stop, str) else stop,
    }
    return {key: value for key, value in fields.items() if is_set(value)}


def _tools(root: Mapping[str, Any], writer: ConverseMessages) -> dict[str, Any] | None:
    tools = [mapping(tool, f"tools[{index}]") for index, tool in enumerate(items(root.get("tools"), "tools"))]
    choice, allowed = _choice(root)
    if choice == "none":
        if writer.has_tool_blocks:
            raise unsupported("tool_choice", "'none' is not possible once the messages have tool calls.")
        return None
    if root.get("parallel_tool_calls") is False and tools:
        raise unsupported("parallel_tool_calls", "Leave it out: the model may call several tools at once.")
    specs: list[dict[str, Any]] = []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        if tool.get("type", "function") != "function":
            raise unsupported(f"{path}.type", "Send functions.")
        function = mapping(tool.get("function"), f"{path}.function")
        if allowed is None or function.get("name") in allowed:
            specs += [{"toolSpec": _tool_spec(function, f"{path}.function")}, *writer.cache_point(tool)]
    if not specs:
        return None
    return {"tools": specs, "toolChoice": choice} if choice else {"tools": specs}


def _tool_spec(function: dict[str, Any], path: str) -> dict[str, Any]:
    refuse_others(function, ("name", "description", "parameters", "strict"), path)
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    spec: dict[str, Any] = {"name": text_of(function.get("name"), f"{path}.name"), "inputSchema": {"json": schema}}
    if function.get("description"):
        spec["description"] = text_of(function["description"], f"{path}.description")
    mapping(schema, f"{path}.parameters")
    return spec | ({"strict": True} if function.get("strict") is True else {})


def _choice(root: Mapping[str, Any]) -> tuple[Any, frozenset[str] | None]:
    """Return Converse's choice (None for its default), and the names of the tools that are allowed (None for all)."""
    choice = root.get("tool_choice")
    plain: dict[object, Any] = {None: None, "auto": {"auto": {}}, "required": {"any": {}}, "none": "none"}
    if choice is None or isinstance(choice, str):
        if choice not in plain:
            raise InvalidRequest("'tool_choice' must be none, auto, required, or name a function.", param="tool_choice")
        return plain[choice], None
    fields = mapping(choice, "tool_choice")
    if fields.get("type") == "function":
        name = mapping(fields.get("function"), "tool_choice.function").get("name")
        return {"tool": {"name": text_of(name, "tool_choice.function.name")}}, None
    if fields.get("type") != "allowed_tools":
        raise unsupported("tool_choice.type", "Name a function.")
    allowed = mapping(fields.get("allowed_tools"), "tool_choice.allowed_tools")
    listed = items(allowed.get("tools"), "tool_choice.allowed_tools.tools")
    names = [_name_of(tool) for tool in listed if isinstance(tool, dict)]
    mode = one_of(allowed, "mode", ("auto", "required"), "tool_choice.allowed_tools.mode")
    return plain[mode], frozenset(name for name in names if isinstance(name, str))


def _output(root: Mapping[str, Any]) -> dict[str, Any]:
    output: dict[str, Any] = {}
    effort = root.get("reasoning_effort")
    if effort is not None and effort != "none":
        if not isinstance(effort, str) or effort not in _EFFORTS:
            raise unsupported("reasoning_effort", f"Send one of none, {', '.join(_EFFORTS)}.")
        output["effort"] = _EFFORTS[effort]
    asked = root.get("response_format")
    if asked is None or asked == {"type": "text"}:
        return output
    if mapping(asked, "response_format").get("type") != "json_schema":
        raise unsupported("response_format.type", "Send a json_schema.")
    schema = mapping(asked.get("json_schema"), "response_format.json_schema")
    given = mapping(schema.get("schema"), "response_format.json_schema.schema")
    definition: dict[str, Any] = {"schema": msgspec.json.encode(given).decode()}
    definition |= {key: schema[key] for key in ("name", "description") if schema.get(key)}
    output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": definition}}
    return output


def _additional(root: Mapping[str, Any], family: str) -> dict[str, Any]:
    """Return what only Anthropic's models have beside Converse's fields (their Messages on Bedrock)."""
    fields: dict[str, Any] = {}
    for key in ("top_k", "thinking"):
        if not is_set(root.get(key)):
            continue
        if family != ANTHROPIC:
            raise unsupported(key, "Only Anthropic's models have it.")
        fields[key] = root[key]
    if "thinking" in fields:
        thinking = mapping(fields["thinking"], "thinking")
        refuse_others(thinking, ("type", "budget_tokens"), "thinking")
    return fields


def _guardrail(root: Mapping[str, Any], guardrail: tuple[str, str] | None, *, streamed: bool) -> dict[str, Any] | None:
    """Return the guardrail: the operator's, which callers do not replace, or the one that the request names."""
    asked = root.get("guardrailConfig")
    if guardrail is not None:
        if is_set(asked):
            raise unsupported("guardrailConfig", "The operator has set a guardrail for every request.")
        return {"guardrailIdentifier": guardrail[0], "guardrailVersion": guardrail[1]}
    if not is_set(asked):
        return None
    fields = mapping(asked, "guardrailConfig")
    refuse_others(fields, _GUARDRAIL, "guardrailConfig")
    if fields.get("trace", "disabled") != "disabled":
        raise unsupported("guardrailConfig.trace", "Answers of chat completions have no trace.")
    mode = fields.get("streamProcessingMode")
    if mode is not None and not streamed:
        return {key: value for key, value in fields.items() if key != "streamProcessingMode"}
    return fields
