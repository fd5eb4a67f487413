"""Ordinary chat completions: OpenAI's examples, LangChain's bodies, agents, local servers, OpenRouter."""

import json
from typing import Any

from tests.security.shapes.ordinary import (
    AGENT_TEXTS,
    JPEG_URL,
    PDF_URL,
    PNG_URL,
    SCHEMAS,
    SIGNATURE,
    USER_HASH,
    WAVE,
    Ordinary,
    each,
    named,
    schema_of,
)
from tests.security.shapes.plants import data_url, video


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Return a request; a string is a user message."""
    made = [{"role": "user", "content": each} if isinstance(each, str) else each for each in messages]
    return {"model": "m", "messages": made or [{"role": "user", "content": "What is the weather in Paris?"}]} | fields


def user(*parts: Any) -> dict[str, Any]:
    """Return a user message of parts."""
    return {"role": "user", "content": list(parts)}


def text(words: str = "What is this?") -> dict[str, Any]:
    """Return a text part."""
    return {"type": "text", "text": words}


def image_part(url: str = PNG_URL, **more: Any) -> dict[str, Any]:
    """Return an image part."""
    return {"type": "image_url", "image_url": {"url": url} | more}


def tool(schema: Any, **more: Any) -> dict[str, Any]:
    """Return a function tool."""
    return {"type": "function", "function": {"name": "get", "description": "Gets.", "parameters": schema} | more}


def tool_turn(arguments: str, result: Any, **more: Any) -> dict[str, Any]:
    """Return an agent's conversation: a call, its result, and the next question."""
    call = {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": arguments}}
    return chat(
        "Do it.",
        {"role": "assistant", "content": None, "tool_calls": [call]} | more,
        {"role": "tool", "tool_call_id": "call_1", "content": result},
        tools=[tool(SCHEMAS["plain"])],
    )


_PLAIN = {
    "one question": chat(),
    "developer and user": chat({"role": "developer", "content": "You are a helpful assistant."}, "Hello!"),
    "system parts": chat({"role": "system", "content": [text("Be brief.")]}, "Hello!"),
    "names": chat(
        {"role": "user", "name": "alice", "content": "Hi"}, {"role": "assistant", "name": "bot", "content": "Hi"}
    ),
    "stream": chat(stream=True, stream_options={"include_usage": True}),
    "logprobs": chat(logprobs=True, top_logprobs=2),
    "sampling": chat(temperature=0.2, top_p=0.9, n=1, seed=42, presence_penalty=0.1, frequency_penalty=-0.5),
    "stop": chat(stop=["\n\n", "###", "</answer>", "User:"]),
    "one stop": chat(stop="END"),
    "logit bias": chat(logit_bias={"50256": -100, "1734": 5}),
    "metadata": chat(metadata={"run_id": "run_8f14e45f", "env": "prod"}, store=True),
    "user": chat(user=USER_HASH, safety_identifier=USER_HASH, prompt_cache_key="tenant-17:v3"),
    "limits": chat(max_completion_tokens=256, max_tokens=None),
    "nulls": chat(stop=None, tools=None, functions=None, response_format=None, audio=None, user=None),
    "reasoning effort": chat(reasoning_effort="low", verbosity="low"),
    "service tier": chat(service_tier="auto", prompt_cache_retention="24h", parallel_tool_calls=True),
    "JSON mode": chat(response_format={"type": "json_object"}),
    "prediction": chat(prediction={"type": "content", "content": "class User {\n  name: string\n}"}),
    "prediction parts": chat(prediction={"type": "content", "content": [text("class User {}")]}),
    "web search": chat(
        web_search_options={
            "search_context_size": "low",
            "user_location": {
                "type": "approximate",
                "approximate": {"country": "GB", "city": "London", "timezone": "Europe/London"},
            },
        }
    ),
    "audio answer": chat(modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}),
    "past audio": chat("Hi", {"role": "assistant", "audio": {"id": "audio_abc123"}}, "Go on."),
    "refusal sent back": chat(
        "Hi", {"role": "assistant", "content": None, "refusal": "I cannot help with that."}, "Why?"
    ),
    "old functions": chat(functions=[{"name": "get", "parameters": SCHEMAS["plain"]}], function_call="auto"),
    "old function call": chat(
        "Hi",
        {"role": "assistant", "content": None, "function_call": {"name": "get", "arguments": "{}"}},
        {"role": "function", "name": "get", "content": "22 degrees"},
    ),
    "custom tool": chat(
        tools=[{"type": "custom", "custom": {"name": "sql", "description": "Runs SQL.", "format": {"type": "text"}}}]
    ),
    "grammar tool": chat(
        tools=[
            {
                "type": "custom",
                "custom": {
                    "name": "math",
                    "format": {
                        "type": "grammar",
                        "grammar": {"syntax": "lark", "definition": 'start: expr\nexpr: "1"'},
                    },
                },
            }
        ]
    ),
    "tool choice": chat(tools=[tool(SCHEMAS["plain"])], tool_choice={"type": "function", "function": {"name": "get"}}),
    "allowed tools": chat(
        tools=[tool(SCHEMAS["plain"])],
        tool_choice={
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "get"}}]},
        },
    ),
    "a URL in the question": chat("Summarise https://example.com/cat.png please."),
    "only a URL as the question": chat("https://example.com/report.html"),
    "base64 as the question": chat(f"Decode this: {SIGNATURE}"),
    "a data URL in the question": chat(f"Why is {PNG_URL} not shown?"),
    "long conversation": chat(*["Hello there."] * 120),
    "prompt cache breakpoint": chat(user(text() | {"prompt_cache_breakpoint": {"mode": "explicit"}})),
}
_SERVERS = {
    "vLLM sampling": chat(top_k=40, min_p=0.05, repetition_penalty=1.1, ignore_eos=False, skip_special_tokens=True),
    "vLLM template": chat(chat_template_kwargs={"enable_thinking": False}, add_generation_prompt=True),
    "vLLM guided JSON": chat(guided_json=SCHEMAS["plain"]),
    "vLLM guided JSON with URLs": chat(guided_json=SCHEMAS["2020-12"]),
    "vLLM structured outputs": chat(structured_outputs={"json": SCHEMAS["zod"]}),
    "vLLM guided choice": chat(guided_choice=["positive", "negative"], guided_decoding_backend="xgrammar"),
    "vLLM guided regex": chat(guided_regex=r"\d{4}-\d{2}-\d{2}"),
    "vLLM guided grammar": chat(guided_grammar='root ::= "yes" | "no"'),
    "vLLM pixels": chat(user(text(), image_part()), mm_processor_kwargs={"max_pixels": 1003520, "num_crops": 4}),
    "vLLM priority": chat(priority=3, request_id="req-17", return_tokens_as_token_ids=True, cache_salt="tenant-17"),
    "vLLM stop tokens": chat(stop_token_ids=[151643, 151645], bad_words=["foo"], allowed_token_ids=[1, 2, 3]),
    "documents of a template": chat(documents=[{"title": "Cats", "text": "Cats sleep for 15 hours a day."}]),
    "chat template": chat(chat_template="{% for m in messages %}{{ m.content }}{% endfor %}"),
    "reasoning content": chat(
        "Hi", {"role": "assistant", "content": "Yes.", "reasoning_content": "The user greets."}, "Go on."
    ),
    "OpenRouter provider": chat(
        provider={"order": ["anthropic", "openai"], "allow_fallbacks": False, "data_collection": "deny"},
        transforms=["middle-out"],
        models=["anthropic/claude-sonnet-4.5", "openai/gpt-5"],
        route="fallback",
    ),
    "OpenRouter plugins": chat(
        plugins=[{"id": "web", "max_results": 3}, {"id": "file-parser", "pdf": {"engine": "pdf-text"}}]
    ),
    "OpenRouter reasoning": chat(reasoning={"effort": "high", "exclude": False}, usage={"include": True}),
    "OpenRouter reasoning details": chat(
        "Hi",
        {
            "role": "assistant",
            "content": "Yes.",
            "reasoning_details": [
                {
                    "type": "reasoning.text",
                    "text": "The user greets.",
                    "signature": SIGNATURE,
                    "format": "anthropic-claude-v1",
                    "index": 0,
                },
                {"type": "reasoning.encrypted", "data": SIGNATURE, "id": "rs_1", "format": "openai-responses-v1"},
            ],
        },
        "Go on.",
    ),
    "Anthropic cache control": chat(user(text() | {"cache_control": {"type": "ephemeral"}})),
    "Gemini": chat(extra_body={"google": {"thinking_config": {"include_thoughts": True, "thinking_budget": 1024}}}),
    "Gemini thought signature": chat(
        "Hi",
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "get", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": SIGNATURE}},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "22"},
    ),
    "DeepSeek thinking": chat(thinking={"type": "enabled"}),
    "Qwen thinking": chat(enable_thinking=True, thinking_budget=2048, enable_search=False),
    "Mistral": chat(random_seed=7, safe_prompt=True, prompt_mode="reasoning"),
    "Groq": chat(reasoning_format="parsed", service_tier="auto"),
    "xAI search": chat(search_parameters={"mode": "auto", "max_search_results": 5, "sources": [{"type": "web"}]}),
    "Perplexity": chat(search_domain_filter=["wikipedia.org", "-reddit.com"], return_images=False),
    "LiteLLM": chat(drop_params=True, num_retries=2, metadata={"tags": "a"}),
    "Ollama": chat(options={"num_ctx": 8192, "temperature": 0.1}, keep_alive="5m"),
}
_IMAGES = {
    "an image": chat(user(text(), image_part())),
    "an image alone": chat(user(image_part(JPEG_URL))),
    "details": chat(user(text(), image_part(detail="low"), image_part(JPEG_URL, detail="high"))),
    "image as a string": chat(user({"type": "image_url", "image_url": PNG_URL})),
    "image in a system message": chat({"role": "system", "content": [text(), image_part()]}, "Hi"),
    "LangChain's image": chat(user(text(), {"type": "image_url", "image_url": {"url": JPEG_URL, "detail": "auto"}})),
    "image in a tool result": tool_turn("{}", [text("The screenshot:"), image_part()]),
    "image of an earlier turn": chat(
        user(text(), image_part()), {"role": "assistant", "content": "A cat."}, "What colour?"
    ),
    "input_file with data": chat(
        user(text(), {"type": "input_file", "input_file": {"file_data": PNG_URL, "mime_type": "image/png"}})
    ),
    "file with data": chat(user(text(), {"type": "file", "file": {"file_data": PNG_URL, "filename": "cat.png"}})),
    "PDF": chat(user(text(), {"type": "file", "file": {"file_data": PDF_URL, "filename": "draft.pdf"}})),
}
_CLIPS = {
    "sound": chat(user(text(), {"type": "input_audio", "input_audio": {"data": WAVE, "format": "wav"}})),
    "video": chat(user(text(), {"type": "video_url", "video_url": {"url": data_url(video(), "video/mp4")}})),
}


def requests() -> list[Ordinary]:
    """Return all of them."""
    return [
        *named("chat", _PLAIN),
        *named("chat", _SERVERS),
        *named("chat", _IMAGES, images=1),
        *named("chat", _CLIPS),
        *each(
            "chat", "tool", SCHEMAS, lambda schema: chat(tools=[tool(schema), tool(schema, name="other", strict=False)])
        ),
        *each("chat", "answer", SCHEMAS, lambda schema: chat(response_format=_structured(schema))),
        *each("chat", "tool result", AGENT_TEXTS, lambda words: tool_turn('{"q": "x"}', words)),
        *each("chat", "tool result in parts", AGENT_TEXTS, lambda words: tool_turn("{}", [text(words or "-")])),
        *each("chat", "arguments", AGENT_TEXTS, lambda words: tool_turn(_arguments(words), "done")),
        *each("chat", "a question", AGENT_TEXTS, lambda words: chat("Look:", user(text(words or "-")))),
        Ordinary("deep schema", "chat", chat(tools=[tool(_deep(20))])),
    ]


def _structured(schema: dict[str, Any]) -> dict[str, Any]:
    described = {"name": "answer", "strict": True, "description": "An answer.", "schema": schema}
    return {"type": "json_schema", "json_schema": described}


def _arguments(words: str) -> str:
    return json.dumps({"content": words})


def _deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = SCHEMAS["plain"]
    for _ in range(levels):
        schema = schema_of({"inner": schema})
    return schema
