"""Answers on AWS's own runtime, through Mangum: text stays text, and the application starts once."""

import json
import subprocess
import sys

from tests.support.lambda_events import rest_event

CODE = """
import json, sys
from contextlib import asynccontextmanager
from fastapi import FastAPI, Response
from obscura.aws.handler import LambdaEntry

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

@application.get("/answer")
async def answer(kind: str):
    return Response(b"told", media_type=kind)

@application.get("/starts")
async def count():
    return starts

@application.get("/fault")
async def fault():
    raise ValueError("words of the caller")

handler = LambdaEntry(application)
print(json.dumps([handler(event, Context()) for event in json.load(sys.stdin)]))
"""


def answered(*events: dict) -> tuple[list[dict], str]:
    """Return the answers of one environment to these events, one after the other, and what it logged."""
    ended = subprocess.run(
        [sys.executable, "-c", CODE], input=json.dumps(events), capture_output=True, text=True, timeout=30, check=True
    )
    return json.loads(ended.stdout.splitlines()[-1]), ended.stderr


def test_json_and_event_streams_leave_as_text_and_images_as_base64():
    kinds = ["application/json", "application/problem%2Bjson", "text/event-stream", "image/png"]

    answers, _ = answered(*(rest_event("GET", f"/answer?kind={kind}") for kind in kinds))

    response = [(answer["body"], answer["isBase64Encoded"]) for answer in answers]
    assert response == [("told", False), ("told", False), ("told", False), ("dG9sZA==", True)]


def test_the_application_starts_once_for_all_events():
    answers, _ = answered(*[rest_event("GET", "/starts")] * 3)

    assert [json.loads(answer["body"]) for answer in answers] == [["started"]] * 3


def test_a_fault_is_a_500_whose_words_nobody_logs():
    (answer,), logged = answered(rest_event("GET", "/fault"))

    assert answer["statusCode"] == 500
    assert "words of the caller" not in json.dumps(answer) + logged
