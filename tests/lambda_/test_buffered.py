"""Buffered responses on AWS's own runtime, through Mangum: text stays text, and the application starts once."""

import json
import subprocess
import sys

from tests.support.lambda_events import rest_event

CODE = """
import json, sys
from contextlib import asynccontextmanager
from fastapi import FastAPI, Response
from obscura.aws.handler import LambdaHandler

starts = []

@asynccontextmanager
async def lifespan(app):
    starts.append("started")
    yield
    starts.append("ended")

class Context:
    aws_request_id = "1"

    def get_remaining_time_in_millis(self):
        return 30_000

application = FastAPI(lifespan=lifespan)

@application.get("/typed")
async def typed(kind: str):
    return Response(b"body", media_type=kind)

@application.get("/starts")
async def count():
    return starts

@application.get("/fault")
async def fault():
    raise ValueError("content of the caller")

handler = LambdaHandler(application)
print(json.dumps([handler(event, Context()) for event in json.load(sys.stdin)]))
"""


def responses_to(*events: dict) -> tuple[list[dict], str]:
    """Return the responses of one environment to these events, in order, and its log."""
    process = subprocess.run(
        [sys.executable, "-c", CODE], input=json.dumps(events), capture_output=True, text=True, timeout=30, check=True
    )
    return json.loads(process.stdout.splitlines()[-1]), process.stderr


def test_json_and_event_streams_are_text_and_images_are_base64() -> None:
    kinds = ["application/json", "application/problem%2Bjson", "text/event-stream", "image/png"]

    responses, _ = responses_to(*(rest_event("GET", f"/typed?kind={kind}") for kind in kinds))

    bodies = [(response["body"], response["isBase64Encoded"]) for response in responses]
    assert bodies == [("body", False), ("body", False), ("body", False), ("Ym9keQ==", True)]


def test_the_application_starts_once_for_all_events() -> None:
    responses, _ = responses_to(*[rest_event("GET", "/starts")] * 3)

    assert [json.loads(response["body"]) for response in responses] == [["started"]] * 3


def test_an_exception_is_a_500_whose_message_is_not_logged() -> None:
    (response,), log = responses_to(rest_event("GET", "/fault"))

    assert response["statusCode"] == 500
    assert "content of the caller" not in json.dumps(response) + log
