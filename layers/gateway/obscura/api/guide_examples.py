"""The examples of the vision guide: one image and one question in each dialect; a test runs them all as they stand."""

from dataclasses import dataclass

IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQMAAABJtOi3AAAAA1BMVEXIPCh+gCsnAAAADElEQVR42mNgGNwAAACgAAGO+7G0AAAAAElFTkSuQmCC"
)
"""A red PNG of 32 x 32 pixels, in base64."""

_QUESTION = "What colour is this?"


@dataclass(frozen=True, slots=True)
class DialectExample:
    """One dialect in the guide.

    Attributes:
        title: the dialect's name in its own documentation.
        curl: a request for bash, with the address, the key and the model in variables.
        python: the same with the dialect's official SDK, streamed.
        last_event: how a complete stream ends.
        error_event: how a stream that fails ends.
        usage: where the image tokens are in the response.

    """

    title: str
    curl: str
    python: str
    last_event: str
    error_event: str
    usage: str


def _curl(path: str, body: str, *headers: str) -> str:
    lines = [f'curl "$OBSCURA_URL{path}"', *(f"-H {header}" for header in headers), f"-d '{body}'"]
    return " \\\n  ".join(lines)


_BEARER = '"authorization: Bearer $OBSCURA_KEY"'
_JSON = '"content-type: application/json"'
_MODEL = "'\"$OBSCURA_MODEL\"'"
_OPENAI = """import os
from openai import OpenAI

client = OpenAI(base_url=os.environ["OBSCURA_URL"] + "/v1", api_key=os.environ["OBSCURA_KEY"])
"""

EXAMPLES = {
    "chat": DialectExample(
        title="Chat completions",
        curl=_curl(
            "/v1/chat/completions",
            f"""{{
    "model": "{_MODEL}",
    "messages": [{{"role": "user", "content": [
      {{"type": "text", "text": "{_QUESTION}"}},
      {{"type": "image_url", "image_url": {{
        "url": "data:image/png;base64,{IMAGE}",
        "detail": "auto"}}}}]}}]
  }}""",
            _BEARER,
            _JSON,
        ),
        python=f"""{_OPENAI}image = "data:image/png;base64,{IMAGE}"
stream = client.chat.completions.create(
    model=os.environ["OBSCURA_MODEL"],
    messages=[{{"role": "user", "content": [
        {{"type": "text", "text": "{_QUESTION}"}},
        {{"type": "image_url", "image_url": {{"url": image}}}},
    ]}}],
    stream=True,
)
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="", flush=True)
""",
        last_event="data: [DONE]",
        error_event='data: {"error": …}',
        usage="usage.prompt_tokens_details.image_tokens",
    ),
    "messages": DialectExample(
        title="Messages",
        curl=_curl(
            "/v1/messages",
            f"""{{
    "model": "{_MODEL}",
    "max_tokens": 200,
    "messages": [{{"role": "user", "content": [
      {{"type": "image", "source": {{
        "type": "base64", "media_type": "image/png",
        "data": "{IMAGE}"}}}},
      {{"type": "text", "text": "{_QUESTION}"}}]}}]
  }}""",
            '"x-api-key: $OBSCURA_KEY"',
            '"anthropic-version: 2023-06-01"',
            _JSON,
        ),
        python=f"""import os
from anthropic import Anthropic

client = Anthropic(base_url=os.environ["OBSCURA_URL"], api_key=os.environ["OBSCURA_KEY"])
image = "{IMAGE}"
with client.messages.stream(
    model=os.environ["OBSCURA_MODEL"],
    max_tokens=200,
    messages=[{{"role": "user", "content": [
        {{"type": "image", "source": {{"type": "base64", "media_type": "image/png", "data": image}}}},
        {{"type": "text", "text": "{_QUESTION}"}},
    ]}}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
""",
        last_event="event: message_stop",
        error_event="event: error",
        usage="usage.image_tokens",
    ),
    "responses": DialectExample(
        title="Responses",
        curl=_curl(
            "/v1/responses",
            f"""{{
    "model": "{_MODEL}",
    "input": [{{"role": "user", "content": [
      {{"type": "input_text", "text": "{_QUESTION}"}},
      {{"type": "input_image", "detail": "auto",
       "image_url": "data:image/png;base64,{IMAGE}"}}]}}]
  }}""",
            _BEARER,
            _JSON,
        ),
        python=f"""{_OPENAI}image = "data:image/png;base64,{IMAGE}"
stream = client.responses.create(
    model=os.environ["OBSCURA_MODEL"],
    input=[{{"role": "user", "content": [
        {{"type": "input_text", "text": "{_QUESTION}"}},
        {{"type": "input_image", "image_url": image, "detail": "auto"}},
    ]}}],
    stream=True,
)
for event in stream:
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)
""",
        last_event="event: response.completed (or response.incomplete)",
        error_event="event: error",
        usage="usage.input_tokens_details.image_tokens",
    ),
}
"""By the names of ``dialects/registry.py``."""
