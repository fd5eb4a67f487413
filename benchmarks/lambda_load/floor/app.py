"""The floor: a bare relay of the same libraries, FastAPI, pydantic and httpx, behind Mangum."""

import os

import httpx
from fastapi import FastAPI, Response
from mangum import Mangum
from pydantic import BaseModel, ConfigDict


class ChatRequest(BaseModel):
    """A chat request; other fields are kept."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[dict[str, object]]


app = FastAPI()
client = httpx.AsyncClient()


@app.post("/v1/chat/completions")
async def relay(request: ChatRequest) -> Response:
    """Relay one request to the upstream."""
    url = f"{os.environ['OBSCURA_UPSTREAM_URL']}/chat/completions"
    response = await client.post(url, content=request.model_dump_json(), headers={"content-type": "application/json"})
    return Response(response.content, response.status_code, media_type="application/json")


handler = Mangum(app, lifespan="off")
