"""The floor: the least that a gateway of these parts can be, a relay of FastAPI, pydantic and httpx behind Mangum."""

import os

import httpx
from fastapi import FastAPI, Response
from mangum import Mangum
from pydantic import BaseModel, ConfigDict


class Ask(BaseModel):
    """A chat request; what is not named rides along."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[dict[str, object]]


app = FastAPI()
client = httpx.AsyncClient()


@app.post("/v1/chat/completions")
async def relay(ask: Ask) -> Response:
    """Pass the request on, and the answer back."""
    url = f"{os.environ['OBSCURA_UPSTREAM_URL']}/chat/completions"
    answered = await client.post(url, content=ask.model_dump_json(), headers={"content-type": "application/json"})
    return Response(answered.content, answered.status_code, media_type="application/json")


handler = Mangum(app, lifespan="off")
