"""LiteLLM as a client, over chat, Responses and Messages."""

import base64
import os
from pathlib import Path

import litellm
import pytest

URL, KEY = os.environ["GATEWAY_URL"], os.environ["GATEWAY_KEY"]
PNG = base64.b64encode(Path(os.environ["SAMPLE_PNG"]).read_bytes()).decode()
OPENAI = {"model": "openai/m", "api_base": f"{URL}/v1", "api_key": KEY}
ANTHROPIC = {"model": "anthropic/claude-m", "api_base": URL, "api_key": KEY}
FORMS = pytest.mark.parametrize("to", [OPENAI, ANTHROPIC], ids=["chat", "messages"])


def asked(text: str, *parts: dict) -> list[dict]:
    return [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]


@FORMS
def test_text(to: dict) -> None:
    assert litellm.completion(messages=asked("Say: hello"), **to).choices[0].message.content == "hello"


@FORMS
def test_stream(to: dict) -> None:
    chunks = list(litellm.completion(messages=asked("Say: hello"), stream=True, **to))

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"


@FORMS
def test_image(to: dict) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

    assert litellm.completion(messages=asked("Say: red", image), **to).choices[0].message.content == "red"


@FORMS
def test_tool(to: dict) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": schema}}]
    message = litellm.completion(messages=asked("What is the weather in Ulm?"), tools=tools, **to).choices[0].message

    assert message.tool_calls[0].function.arguments == '{"city": "Ulm"}'


def test_responses() -> None:
    assert litellm.responses(input="Say: hello", **OPENAI).output[0].content[0].text == "hello"
