"""A model with several upstreams: who is asked, who answers, and what the caller gets if none does."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_upstream import CHUNKS, answers, chunk, hangs_up, in_turn, stays_silent, streams, verdict
from tests.support.gateway import chat_request, image_part, text
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import Received, Respond, Wire, loopback_server
from tests.support.upstream_groups import answering, served_group

MESSAGE = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
ANTHROPIC_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "native"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


def two(first: Respond, second: Respond | None = None, **fields: Any) -> dict[str, dict[str, Any]]:
    return {"one": {"responds": first, **fields}, "two": {"responds": second or answering("two"), **fields}}


def words_of(response: Any) -> str:
    words: str = response.json()["choices"][0]["message"]["content"]
    return words


async def half_an_answer(request: Received, wire: Wire) -> None:
    """Break off in the middle of a whole answer."""
    await wire.head(200, content_type="application/json", content_length="500")
    await wire.write(b'{"id": "c", "choices')
    wire.drop()


@pytest.mark.parametrize(
    "failing",
    [
        answers({"error": {"message": "busy"}}, 429),
        answers({"error": {"message": "broken"}}, 500),
        answers({}, 502),
        answers({}, 503),
        answers({}, 529),
        answers({"error": {"message": "no"}}, 401),
        answers({"error": {"message": "pay", "code": "insufficient_quota"}}, 429),
        answers(b"not json"),
        answers({"error": {"message": "in disguise"}}),
        hangs_up,
        half_an_answer,
    ],
    ids=["429", "500", "502", "503", "529", "401", "no quota", "no JSON", "error in a 200", "hangs up", "half"],
)
async def test_the_next_upstream_answers_what_the_first_fails(failing: Respond, tmp_path: Path) -> None:
    async with served_group(tmp_path, two(failing)) as group:
        response = await group.gateway.chat(chat_request("hi"))

        assert (response.status_code, words_of(response)) == (200, "two")
        assert response.headers["x-obscura-upstream"] == "two"
        assert group.asked() == {"one": 1, "two": 1}


async def test_an_upstream_that_cannot_be_reached_or_is_silent_is_passed_over(tmp_path: Path) -> None:
    upstreams = {"gone": {"url": "http://127.0.0.1:9/v1"}} | two(stays_silent, timeout_s=0.3)
    async with served_group(tmp_path, upstreams) as group:
        response = await group.gateway.chat(chat_request("hi"))

        assert words_of(response) == "two"
        assert group.asked() == {"gone": 0, "one": 1, "two": 1}


async def test_while_the_first_answers_no_other_is_asked(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(answering("one"))) as group:
        responses = [await group.gateway.chat(chat_request("hi")) for _ in range(3)]

        assert [words_of(response) for response in responses] == ["one"] * 3
        assert {response.headers["x-obscura-upstream"] for response in responses} == {"one"}
        assert group.asked() == {"one": 3, "two": 0}


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_an_error_about_the_request_is_returned_at_once(status: int, tmp_path: Path) -> None:
    async with served_group(tmp_path, two(answers({"error": {"message": "not so"}}, status))) as group:
        response = await group.gateway.chat(chat_request("hi"))

        assert response.status_code == status
        assert response.headers["x-obscura-upstream"] == "one"
        assert group.asked() == {"one": 1, "two": 0}


async def test_if_all_fail_the_error_says_when_to_come_back(tmp_path: Path) -> None:
    first, second = answers({}, 429, retry_after="9"), answers({}, 503, retry_after="4")
    async with served_group(
        tmp_path, two(hangs_up) | {"three": {"responds": first}, "four": {"responds": second}}, ["one", "three", "four"]
    ) as group:
        response = await group.gateway.chat(chat_request("hi"))

        assert (response.status_code, response.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert response.headers["retry-after"] == "4"
        assert response.headers["x-obscura-upstream"] == "three"


async def test_each_upstream_is_asked_for_its_own_model_with_the_images_as_prepared(tmp_path: Path) -> None:
    members = [{"name": "one", "model": "org/one-large"}, "two"]
    upstreams = two(answers({}, 500), answering("two"), token_limit="max_tokens")
    async with served_group(tmp_path, upstreams, members) as group:
        parts = (text("look"), image_part(a_data_url(2000, 1000)))
        response = await group.gateway.chat(chat_request(*parts) | {"unknown": {"kept": 1}})
        first, second = (server.received[0].json() for server in group.upstreams.values())

        assert response.status_code == 200
        assert (first.pop("model"), second.pop("model")) == ("org/one-large", "m")
        assert first == second
        assert first["unknown"] == {"kept": 1}


async def test_a_request_is_native_here_and_translated_there(tmp_path: Path) -> None:
    upstreams = two(answers({}, 500), answering("translated"))
    upstreams["one"]["dialects"] = ["chat", "messages"]
    async with served_group(tmp_path, upstreams) as group:
        translated = await group.gateway.client.post("/v1/messages", json=MESSAGE, headers={"anthropic-beta": "b-1"})
        group.upstreams["one"].respond = answers(ANTHROPIC_ANSWER)
        native = await group.gateway.client.post("/v1/messages", json=MESSAGE)
        one, two_ = (server.received[0] for server in group.upstreams.values())

        assert (one.path, two_.path) == ("/v1/messages", "/v1/chat/completions")
        assert (one.headers.get("anthropic-beta"), two_.headers.get("anthropic-beta")) == ("b-1", None)
        assert translated.json()["content"][0]["text"] == "translated"
        assert translated.json()["model"] == "m"
        assert native.json()["content"][0]["text"] == "native"


async def test_an_upstream_that_cannot_carry_a_request_is_left_out_of_it(tmp_path: Path) -> None:
    upstreams = two(answering("one"), answers(ANTHROPIC_ANSWER))
    upstreams["two"]["dialects"] = ["chat", "messages"]
    only_native = MESSAGE | {"top_k": 5, "container": {"skills": []}}
    async with served_group(tmp_path, upstreams) as group:
        response = await group.gateway.client.post("/v1/messages", json=only_native)
        group.upstreams["two"].respond = answers({}, 500)
        failed = await group.gateway.client.post("/v1/messages", json=only_native)

        assert response.json()["content"][0]["text"] == "native"
        assert failed.status_code == 502
        assert group.asked() == {"one": 0, "two": 2}


async def test_if_none_can_carry_a_request_the_field_is_named(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(answering("one"))) as group:
        response = await group.gateway.client.post("/v1/messages", json=MESSAGE | {"container": {"skills": []}})

        assert response.status_code == 400
        assert "container" in response.json()["error"]["message"]
        assert group.asked() == {"one": 0, "two": 0}


async def head_alone(request: Received, wire: Wire) -> None:
    await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
    await asyncio.Event().wait()


FAILED_STREAMS: dict[str, Respond] = {
    "nothing": streams(b""),
    "comments alone": streams(b": processing\n\n"),
    "error event": streams(b'data: {"error": {"message": "boom", "type": "server_error"}}\n\n'),
    "error event in pieces": streams(b"event: error\n", b'data: {"error": {"mess', b'age": "boom", "code": 500}}\n\n'),
    "broken": streams(b": processing\n\n", then="breaks"),
    "silent after its head": head_alone,
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("failing", FAILED_STREAMS.values(), ids=FAILED_STREAMS)
async def test_a_stream_that_fails_before_its_first_event_falls_back(
    failing: Respond, path: str, tmp_path: Path
) -> None:
    async with served_group(tmp_path, two(failing, streams(), timeout_s=0.3)) as group:
        body = MESSAGE | {"stream": True}
        response = await group.gateway.client.post(path, json=body)

        assert response.headers["x-obscura-upstream"] == "two"
        assert b"A " in response.content
        assert b"cat." in response.content
        assert b"error" not in response.content
        assert group.asked() == {"one": 1, "two": 1}


async def test_a_stream_that_is_done_at_once_falls_back(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(streams(b"data: [DONE]\n\n"), streams())) as group:
        response = await group.gateway.chat(chat_request("hi", stream=True))

        assert response.headers["x-obscura-upstream"] == "two"


async def test_a_stream_that_breaks_after_its_first_event_is_not_repeated(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(streams(*CHUNKS[:2], then="breaks"), streams())) as group:
        response = await group.gateway.chat(chat_request("hi", stream=True))

        assert response.headers["x-obscura-upstream"] == "one"
        assert response.content.count(b'"content":"A "') + response.content.count(b'"content": "A "') == 1
        assert b"upstream_error" in response.content
        assert group.asked() == {"one": 1, "two": 0}


async def test_an_error_event_about_the_request_is_passed_on(tmp_path: Path) -> None:
    refused = b'data: {"error": {"message": "too long", "type": "BadRequestError", "code": 400}}\n\n'
    async with served_group(tmp_path, two(streams(refused), streams())) as group:
        response = await group.gateway.chat(chat_request("hi", stream=True))

        assert b"too long" in response.content
        assert group.asked() == {"one": 1, "two": 0}


async def test_if_every_stream_fails_the_response_is_an_error_with_a_status(tmp_path: Path) -> None:
    overloaded = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "b"}}\n\n'
    upstreams = two(streams(overloaded), streams(overloaded), dialects=["chat", "messages"])
    async with served_group(tmp_path, upstreams) as group:
        response = await group.gateway.client.post("/v1/messages", json=MESSAGE | {"stream": True})

        assert (response.status_code, response.json()["error"]["type"]) == (503, "overloaded_error")


async def test_an_open_circuit_is_not_asked_until_its_time_is_over(tmp_path: Path) -> None:
    upstreams = two(answers({}, 500))
    upstreams["one"] |= {"failures_to_open": 2, "open_s": 0.3}
    async with served_group(tmp_path, upstreams) as group:
        for _ in range(5):
            await group.gateway.chat(chat_request("hi"))
        while_open = group.asked()
        group.upstreams["one"].respond = answering("one")
        await asyncio.sleep(0.35)
        again = [words_of(await group.gateway.chat(chat_request("hi"))) for _ in range(2)]

        assert while_open == {"one": 2, "two": 5}
        assert again == ["one", "one"]


async def test_if_every_circuit_is_open_the_caller_hears_when_to_try_again(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(hangs_up, hangs_up, failures_to_open=1, open_s=20)) as group:
        await group.gateway.chat(chat_request("hi"))
        refused = await group.gateway.chat(chat_request("hi"))

        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "upstream_unavailable")
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert group.asked() == {"one": 1, "two": 1}


async def test_a_fallback_moderates_nothing_again(tmp_path: Path) -> None:
    async with loopback_server(answers(verdict())) as moderation:
        settings: dict[str, Any] = {"moderation": "openai", "moderation_url": moderation.v1, "moderation_key": "k"}
        async with served_group(tmp_path, two(answers({}, 500)), **settings) as group:
            response = await group.gateway.chat(chat_request(text("look"), image_part(a_data_url(40, 40))))

            assert response.status_code == 200
            assert len(moderation.received) == 2  # the text, the image


async def test_the_store_field_and_the_token_limit_are_each_upstreams_own(tmp_path: Path) -> None:
    upstreams = two(answers({}, 500))
    upstreams["one"] |= {"store_field": True, "token_limit": "max_completion_tokens"}
    upstreams["two"] |= {"store_field": False}
    async with served_group(tmp_path, upstreams) as group:
        headers = {"x-zero-retention": "true"}
        response = await group.gateway.client.post("/v1/messages", json=MESSAGE, headers=headers)
        first, second = (server.received[0].json() for server in group.upstreams.values())

        assert response.status_code == 200
        assert (first.get("store"), first.get("max_completion_tokens"), first.get("max_tokens")) == (False, 5, None)
        assert ("store" in second, second.get("max_completion_tokens"), second.get("max_tokens")) == (False, None, 5)


async def test_the_name_of_the_token_limit_is_learned_for_the_model_there(tmp_path: Path) -> None:
    refusal = answers(
        {"error": {"message": "use max_completion_tokens", "param": "max_tokens", "code": "unsupported_parameter"}}, 400
    )
    members = [{"name": "one", "model": "new"}, {"name": "one", "model": "old"}]
    upstreams = {"one": {"responds": in_turn(refusal, answering("a"), answers({}, 500), answering("b"))}}
    async with served_group(tmp_path, upstreams, members) as group:
        for _ in range(2):
            assert (await group.gateway.client.post("/v1/messages", json=MESSAGE)).status_code == 200
        sent = [request.json() for request in group.upstreams["one"].received]

        assert [(body["model"], "max_tokens" in body) for body in sent] == [
            ("new", True), ("new", False), ("new", False), ("old", True)
        ]  # fmt: skip


RESPONSES: dict[str, Any] = {"dialects": ["chat", "responses"]}


@pytest.mark.parametrize(
    "bound",
    [
        {"previous_response_id": "resp_1"},
        {"input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
                   {"role": "user", "content": "hi"}]},
    ],
    ids=["previous response", "encrypted reasoning"],
)  # fmt: skip
async def test_what_one_upstream_knows_goes_to_no_other(bound: dict, tmp_path: Path) -> None:
    upstreams = two(answers({}, 500), answers({"id": "r", "output": []}), **RESPONSES)
    async with served_group(tmp_path, upstreams, model={"account_state": True, "mode": "weighted"}) as group:
        for _ in range(4):
            body = {"model": "m", "input": "hi", **bound}
            assert (await group.gateway.client.post("/v1/responses", json=body)).status_code == 502

        assert group.asked() == {"one": 4, "two": 0}


async def test_tokens_are_counted_by_the_upstream_that_can(tmp_path: Path) -> None:
    upstreams = two(answering("one"), answers({"input_tokens": 7}))
    upstreams["two"]["dialects"] = ["chat", "messages"]
    async with served_group(tmp_path, upstreams) as group:
        body = {name: value for name, value in MESSAGE.items() if name != "max_tokens"}
        response = await group.gateway.client.post("/v1/messages/count_tokens", json=body)

        assert response.json() == {"input_tokens": 7}
        assert response.headers["x-obscura-upstream"] == "two"
        assert group.asked() == {"one": 0, "two": 1}


async def test_under_a_policy_the_next_upstream_is_asked_too(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(answers({}, 500))) as group:
        response = await group.gateway.client.post("/policy/chat/completions", json=chat_request("hi"))

        assert (words_of(response), response.headers["x-obscura-upstream"]) == ("two", "two")


async def test_the_log_names_who_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "obscura")
    async with served_group(tmp_path, two(answers({}, 500))) as group:
        await group.gateway.chat(chat_request("hi"))
    lines = [vars(record).get("fields", {}) for record in caplog.records if record.name == "obscura"]

    assert [(line["upstream"], line["upstreams_asked"]) for line in lines if "upstream" in line] == [("two", 2)]


async def test_a_model_with_one_upstream_names_it_too(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(answering("one"), answers({}, 500))) as group:
        answered = await group.gateway.chat(chat_request("hi") | {"model": "one-alone"})
        failed = await group.gateway.chat(chat_request("hi") | {"model": "two-alone"})

        assert (answered.status_code, answered.headers["x-obscura-upstream"]) == (200, "one")
        assert (failed.status_code, failed.headers["x-obscura-upstream"]) == (502, "two")


async def test_chunks_of_a_fallback_stream_are_whole(tmp_path: Path) -> None:
    usage = chunk({}, choices=[], usage={"prompt_tokens": 1, "completion_tokens": 1})
    async with served_group(tmp_path, two(hangs_up, streams(*CHUNKS[:4], usage, CHUNKS[5]))) as group:
        response = await group.gateway.chat(chat_request("hi", stream=True))

        assert response.content.count(b"data: ") == 6
        assert response.content.endswith(b"data: [DONE]\n\n")
