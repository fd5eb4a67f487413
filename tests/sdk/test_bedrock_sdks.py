"""The ``openai`` and ``anthropic`` SDKs against a gateway before Bedrock's stand-in, which checks every signature."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from anthropic import BadRequestError as AnthropicBadRequest
from openai import AsyncOpenAI, BadRequestError, InternalServerError, RateLimitError

from tests.support.bedrock import (
    CREDENTIALS,
    REGION,
    answering,
    converse_answer,
    event,
    exception,
    fails,
    invoke_events,
    requiring_signatures,
    streaming,
    text_events,
    tool_events,
)
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, Respond
from tests.support.photographs import photograph
from tests.support.upstream_kinds import CLAUDE, NOVA, message, message_events

STRICT: dict[str, Any] = {"max_retries": 0, "_strict_response_validation": True}
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
ANTHROPIC_TOOL: Any = {"name": "weather", "input_schema": {"type": "object"}}
PIECES = ('{"town"', ': "Köln"}')


@pytest.fixture
async def gateway(upstream: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    endpoints = {f"AWS_ENDPOINT_URL_{name}": upstream.origin for name in ("BEDROCK_RUNTIME", "BEDROCK")}
    for name, value in (CREDENTIALS | endpoints).items():
        monkeypatch.setenv(name, value)
    async with running_gateway(upstream_url=f"bedrock:{REGION}") as served:
        yield served


@pytest.fixture
async def openai(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, **STRICT) as client:
        yield client


@pytest.fixture
async def anthropic(gateway: Gateway) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=gateway.url, api_key=gateway.key, **STRICT) as client:
        yield client


def signed(respond: Respond) -> Respond:
    return requiring_signatures(respond)


def image_url(name: str) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(photograph(name).read_bytes()).decode()}"


async def test_openai_chat_with_an_image_and_its_usage(upstream: LoopbackServer, openai: AsyncOpenAI) -> None:
    usage = {
        "inputTokens": 10,
        "outputTokens": 2,
        "totalTokens": 17,
        "cacheReadInputTokens": 4,
        "cacheWriteInputTokens": 1,
    }
    upstream.respond = signed(answering(converse_answer({"text": "A cat."}, usage=usage)))
    parts: Any = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": image_url("rocket.jpg")}},
    ]

    raw = await openai.chat.completions.with_raw_response.create(
        model=NOVA, messages=[{"role": "user", "content": parts}]
    )

    answer = raw.parse()
    assert (answer.choices[0].message.content, answer.model) == ("A cat.", NOVA)
    assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (15, 2, 17)
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert raw.headers["x-upstream-request-id"] == "bedrock-request-1"
    received = upstream.received[0]
    assert received.path == "/model/eu.amazon.nova-pro-v1%3A0/converse"
    image = received.json()["messages"][0]["content"][1]["image"]
    assert (image["format"], base64.b64decode(image["source"]["bytes"])[:3]) == ("jpeg", b"\xff\xd8\xff")
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode() not in received.body


async def test_openai_streams_tools(upstream: LoopbackServer, openai: AsyncOpenAI) -> None:
    upstream.respond = signed(streaming(tool_events(("t1", "weather", PIECES), ("t2", "weather", ()))))

    async with openai.chat.completions.stream(
        model=NOVA, messages=[{"role": "user", "content": "?"}], tools=[TOOL], stream_options={"include_usage": True}
    ) as stream:
        answer = await stream.get_final_completion()

    calls = answer.choices[0].message.tool_calls or []
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("t1", "weather", {"town": "Köln"}),
        ("t2", "weather", {}),
    ]
    assert answer.usage is not None and answer.usage.prompt_tokens == 10


async def test_openai_responses_stream(upstream: LoopbackServer, openai: AsyncOpenAI) -> None:
    upstream.respond = signed(streaming(text_events("A ", "cat.")))

    async with openai.responses.stream(model=NOVA, input="What?") as stream:
        answer = await stream.get_final_response()

    assert answer.output_text == "A cat."


async def test_anthropic_natively_with_betas(upstream: LoopbackServer, anthropic: AsyncAnthropic) -> None:
    upstream.respond = signed(answering(message([{"type": "text", "text": "A cat."}], "end_turn")))

    answer = await anthropic.beta.messages.create(
        model=CLAUDE, max_tokens=5, messages=[{"role": "user", "content": "?"}], betas=["a-2025-01-01", "b-2025-01-01"]
    )

    received = upstream.received[0]
    assert answer.content[0].type == "text" and answer.content[0].text == "A cat."
    assert received.path == "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"
    assert received.json() == {
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "?"}],
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["a-2025-01-01", "b-2025-01-01"],
    }
    assert "anthropic-beta" not in received.headers


@pytest.mark.parametrize("model", [CLAUDE, NOVA])
async def test_anthropic_streams_tools(upstream: LoopbackServer, anthropic: AsyncAnthropic, model: str) -> None:
    use = {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in PIECES]
    native = invoke_events(*message_events([(use, deltas)], "tool_use"))
    upstream.respond = signed(streaming(native if model == CLAUDE else tool_events(("t1", "weather", PIECES))))

    async with anthropic.messages.stream(
        model=model, max_tokens=5, messages=[{"role": "user", "content": "?"}], tools=[ANTHROPIC_TOOL]
    ) as stream:
        answer = await stream.get_final_message()

    (block,) = answer.content
    assert block.type == "tool_use" and (block.id, block.name, block.input) == ("t1", "weather", {"town": "Köln"})
    assert answer.stop_reason == "tool_use"


async def test_anthropics_tokens_are_counted_by_bedrock(upstream: LoopbackServer, anthropic: AsyncAnthropic) -> None:
    upstream.respond = signed(answering({"inputTokens": 42}))

    counted = await anthropic.messages.count_tokens(model=CLAUDE, messages=[{"role": "user", "content": "?"}])

    assert counted.input_tokens == 42
    given = json.loads(base64.b64decode(upstream.received[0].json()["input"]["invokeModel"]["body"]))
    assert (given["max_tokens"], given["anthropic_version"]) == (1, "bedrock-2023-05-31")


async def test_reasoning_goes_out_and_comes_back(upstream: LoopbackServer, openai: AsyncOpenAI) -> None:
    reasoned = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "sig"}}}
    upstream.respond = signed(answering(converse_answer(reasoned, {"text": "So."})))

    answer = await openai.chat.completions.create(model=NOVA, messages=[{"role": "user", "content": "?"}])
    said: Any = answer.choices[0].message
    again: Any = {"role": "assistant"} | said.model_dump(include={"content", "reasoning_content", "thinking_blocks"})
    await openai.chat.completions.create(
        model=NOVA, messages=[{"role": "user", "content": "?"}, again, {"role": "user", "content": "And?"}]
    )

    assert said.reasoning_content == "Hm."
    assert upstream.received[1].json()["messages"][1]["content"] == [reasoned, {"text": "So."}]


async def test_a_streams_exception_is_the_sdks_error(upstream: LoopbackServer, openai: AsyncOpenAI) -> None:
    frames = [*text_events("A cat")[:2], exception("throttlingException", "Slow down, AKIDEXAMPLE.")]
    upstream.respond = signed(streaming(frames))

    seen = ""
    with pytest.raises(Exception, match="rate limit"):
        async for chunk in await openai.chat.completions.create(
            model=NOVA, messages=[{"role": "user", "content": "?"}], stream=True
        ):
            seen += chunk.choices[0].delta.content or ""
    assert seen == "A cat"


async def test_errors_are_the_sdks_own(
    upstream: LoopbackServer, openai: AsyncOpenAI, anthropic: AsyncAnthropic
) -> None:
    ask: Any = {"messages": [{"role": "user", "content": "?"}]}
    for name, status, error in (
        ("ValidationException", 400, BadRequestError),
        ("ThrottlingException", 429, RateLimitError),
        ("AccessDeniedException", 403, InternalServerError),
        ("ModelNotReadyException", 429, InternalServerError),
    ):
        upstream.respond = signed(fails(name, status, "model m is not available"))
        with pytest.raises(error):
            await openai.chat.completions.create(model=NOVA, **ask)
    upstream.respond = signed(fails("ValidationException", 400, "max_tokens: 9 is too many"))
    with pytest.raises(AnthropicBadRequest, match="too many"):
        await anthropic.messages.create(model=CLAUDE, max_tokens=9, **ask)


async def test_a_wrong_key_is_the_operators_affair(
    upstream: LoopbackServer, openai: AsyncOpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.respond = requiring_signatures(answering(), secret_key="another")
    caplog.set_level("DEBUG")

    with pytest.raises(InternalServerError, match="credentials"):
        await openai.chat.completions.create(model=NOVA, messages=[{"role": "user", "content": "?"}])

    assert not [
        record for record in caplog.records if any(value in record.getMessage() for value in CREDENTIALS.values())
    ]


async def test_models_are_those_of_the_region_and_the_accounts_profiles(
    upstream: LoopbackServer, openai: AsyncOpenAI
) -> None:
    summaries = [
        {"modelId": "amazon.nova-pro-v1:0", "providerName": "Amazon", "outputModalities": ["TEXT"]},
        {"modelId": "amazon.titan-image", "providerName": "Amazon", "outputModalities": ["IMAGE"]},
    ]
    profiles = [{"inferenceProfileId": CLAUDE, "status": "ACTIVE"}]
    upstream.respond = signed(answering({"modelSummaries": summaries, "inferenceProfileSummaries": []}))
    listed = answering({"inferenceProfileSummaries": profiles})

    async def respond(request: Any, wire: Any) -> None:
        await (listed if "inference-profiles" in request.path else answering({"modelSummaries": summaries}))(
            request, wire
        )

    upstream.respond = signed(respond)
    models = [model.id async for model in openai.models.list()]

    assert models == ["amazon.nova-pro-v1:0", CLAUDE]
    assert {received.path for received in upstream.received} == {
        "/foundation-models",
        "/inference-profiles?maxResults=1000",
    }


async def test_events_of_a_newer_version_are_passed_over(upstream: LoopbackServer, openai: AsyncOpenAI) -> None:
    upstream.respond = signed(streaming([event("somethingNew", {"a": 1}), *text_events("A cat.")]))

    chunks = await openai.chat.completions.create(model=NOVA, messages=[{"role": "user", "content": "?"}], stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices]) == "A cat."
