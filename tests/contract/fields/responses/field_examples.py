"""Examples of the fields of ``docs/fields-responses.md``: a request without one, a request with it, and its path."""

from typing import Any

from tests.unit.dialects.responses.requests import AUDIO, FILE_ID, FUNCTION, a_request, call, output

DESCRIBED = FUNCTION | {"description": "Looks."}
FORMAT = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}

AS_REQUEST = {
    "model": "other", "temperature": 0.5, "top_p": 0.5, "user": "u", "safety_identifier": "s", "service_tier": "flex",
    "prompt_cache_key": "k", "prompt_cache_retention": "24h", "prompt_cache_options": {"mode": "explicit"},
    "prompt_cache_options.mode": "explicit", "prompt_cache_options.ttl": "30m",
    "prompt_cache_options.comparison_response_id": "resp_1", "prompt_cache_options.prewarm": True,
    "input": "other", "instructions": "Be brief.", "max_output_tokens": 5, "stream": True,
    "reasoning": {"effort": "low"}, "reasoning.effort": "low", "reasoning.summary": "auto",
    "reasoning.generate_summary": "auto", "reasoning.context": "all_turns", "reasoning.mode": "pro",
    "text": {"format": FORMAT}, "text.format": FORMAT, "text.verbosity": "low",
    "tools": [FUNCTION, DESCRIBED | {"name": "b"}],
    "tool_choice": "required", "parallel_tool_calls": False, "metadata": {"a": "b"}, "max_tool_calls": 3,
    "stream_options": {"include_obfuscation": True}, "stream_options.include_obfuscation": True,
    "include": ["reasoning.encrypted_content"], "store": True, "background": True, "truncation": "auto",
    "previous_response_id": "resp_1", "conversation": "conv_1", "prompt": {"id": "pmpt_1"},
    "context_management": [{"type": "compaction"}], "top_logprobs": 3,
    "presence_penalty": 0.5, "frequency_penalty": 0.5, "client_metadata": {"session_id": "s"},
    "moderation": {"model": "m"},
    "image": {"context_compression": "enabled"}, "access_programs": {"cyber": "standard"},
}  # fmt: skip
AS_ITEM = {
    "message.id": "msg_1", "message.status": "completed", "message.phase": "final_answer",
    "function_call.id": "fc_1", "function_call.status": "completed", "function_call.caller": {"type": "program"},
    "function_call.namespace": "n", "function_call.async": True, "function_call_output.id": "fc_2",
    "function_call_output.status": "completed", "function_call_output.name": "look",
    "function_call_output.caller": {"type": "program"}, "function_call_output.namespace": "n",
    "message.role": "developer", "message.content": "other", "function_call.call_id": "call_b",
    "function_call.name": "other", "function_call.arguments": "[]", "function_call_output.call_id": "call_b",
    "function_call_output.output": "other",
}  # fmt: skip
ITEMS = {
    "message": {"type": "message", "role": "user", "content": "hi"},
    "function_call": call("call_a"),
    "function_call_output": output("call_a", "done"),
}
AS_PART: dict[str, Any] = {
    "input_text.text": "other", "input_image.image_url": "https://x.test/a.png", "input_image.detail": "low",
    "input_image.file_id": FILE_ID, "input_file.file_data": "JVBERi0=", "input_file.file_id": FILE_ID,
    "input_file.filename": "b.pdf", "input_file.detail": "low", "input_file.file_url": "https://x.test/a.pdf",
    "input_audio.input_audio": AUDIO | {"format": "mp3"}, "output_text.text": "other",
    "output_text.annotations": [{}], "output_text.logprobs": [{}], "refusal.refusal": "other",
}  # fmt: skip
PARTS: dict[str, dict[str, Any]] = {
    "input_text": {"type": "input_text", "text": "hi"},
    "input_image": {"type": "input_image", "image_url": "https://x.test/b.png", "detail": "auto"},
    "input_file": {"type": "input_file", "filename": "a.pdf"},
    "input_audio": {"type": "input_audio", "input_audio": AUDIO},
    "output_text": {"type": "output_text", "text": "hi"},
    "refusal": {"type": "refusal", "refusal": "No."},
}
AS_TOOL = {
    "function.name": "other", "function.description": "other", "function.parameters": {}, "function.strict": False,
    "function.async": True, "function.defer_loading": True, "function.allowed_callers": ["programmatic"],
    "function.output_schema": {"type": "object"},
}  # fmt: skip
SCREENSHOT = {"output": {"type": "computer_screenshot", "image_url": "https://x.test/a.png"}}


def in_request(field: str) -> tuple[dict, dict, str]:
    """Return a request without a field, one with it, and its path."""
    without = a_request(tools=[FUNCTION])
    holder, _, inner = field.partition(".")
    value = {inner: AS_REQUEST[field]} if inner else AS_REQUEST[field]
    return without, without | {holder: value}, field


def in_item(field: str) -> tuple[dict, dict, str]:
    kind, _, inner = field.partition(".")
    item = ITEMS.get(kind, {})
    changed = item | ({inner: AS_ITEM[field]} if inner else {"type": kind, "id": "x"})
    changed |= SCREENSHOT if kind == "computer_call_output" else {}
    before = [] if kind == "message" else [ITEMS["message"]]
    path = f"input[{len(before)}].{inner or 'type'}"
    return a_request([*before, item] if item else before), a_request([*before, changed]), path


def in_part(field: str) -> tuple[dict, dict, str]:
    kind, _, inner = field.partition(".")
    part = PARTS[kind] | ({"file_data": "JVBERi0xLjcK"} if field == "input_file.detail" else {})
    changed = part | {inner: AS_PART.get(field, {"mode": "explicit"})}
    if field == "input_image.file_id":
        del changed["image_url"]
    without, with_it = (a_request([{"role": "user", "content": [content]}]) for content in (part, changed))
    return without, with_it, f"input[0].content[0].{inner}"


def in_tool(field: str) -> tuple[dict, dict, str]:
    kind, _, inner = field.partition(".")
    changed = DESCRIBED | {inner: AS_TOOL[field]} if inner else {"type": kind}
    return a_request(tools=[DESCRIBED]), a_request(tools=[changed]), f"tools[0].{inner or 'type'}"


def in_choice(field: str) -> tuple[dict, dict, str]:
    return a_request(tools=[FUNCTION]), a_request(tools=[FUNCTION], tool_choice={"type": field}), "tool_choice.type"


BUILDERS = {
    "Request": in_request, "Input items": in_item, "Content parts": in_part, "Tools": in_tool, "Tool choice": in_choice,
}  # fmt: skip
