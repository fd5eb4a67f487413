"""instructor: an object of a schema, by a tool and by JSON."""

import os

import instructor
import openai
import pytest
from pydantic import BaseModel


class City(BaseModel):
    """A city."""

    name: str
    people: int


@pytest.mark.parametrize("mode", [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA])
def test_object(mode: instructor.Mode) -> None:
    sdk = openai.OpenAI(base_url=f"{os.environ['GATEWAY_URL']}/v1", api_key=os.environ["GATEWAY_KEY"], max_retries=0)
    client = instructor.from_openai(sdk, mode=mode)
    question = [{"role": "user", "content": "The city of Ulm has 128000 people."}]

    city = client.chat.completions.create(model="m", response_model=City, messages=question, max_retries=1)

    assert city.people == 128000
