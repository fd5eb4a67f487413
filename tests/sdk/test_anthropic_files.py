"""Anthropic's SDK for files (``client.beta.files``), and its tool runner, which begins a thread by default."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from anthropic import Anthropic, NotFoundError, beta_tool

from tests.support.photographs import photograph
from tests.support.serving_process import ServingProcess


@pytest.fixture
def anthropic(gateway: ServingProcess) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0, _strict_response_validation=True) as sdk:
        yield sdk


def test_a_file_lives_through_the_sdks_calls(anthropic: Anthropic) -> None:
    image = photograph("rocket.jpg")
    before = datetime.now(UTC)

    stored = anthropic.beta.files.upload(file=("rocket.jpg", image.read_bytes(), "image/jpeg"))
    listed = [file.id for file in anthropic.beta.files.list()]
    found = anthropic.beta.files.retrieve_metadata(stored.id)
    content = anthropic.beta.files.download(stored.id).read()
    deleted = anthropic.beta.files.delete(stored.id)

    assert (stored.type, stored.filename, stored.mime_type) == ("file", "rocket.jpg", "image/jpeg")
    assert stored.size_bytes == len(content) == image.stat().st_size
    assert abs(stored.created_at - before) < timedelta(minutes=1)
    assert (found, content) == (stored, image.read_bytes())
    assert stored.id in listed
    assert (deleted.id, deleted.type) == (stored.id, "file_deleted")
    with pytest.raises(NotFoundError) as raised:
        anthropic.beta.files.retrieve_metadata(stored.id)
    assert raised.value.type == "not_found_error"


def test_the_tool_runner_goes_on_without_its_thread(anthropic: Anthropic) -> None:
    @beta_tool
    def weather(town: str) -> str:
        """Return the weather of a town."""
        return "sunny in " + town

    runner = anthropic.beta.messages.tool_runner(
        model="obscura-demo", max_tokens=99, tools=[weather], messages=[{"role": "user", "content": "Ulm?"}]
    )

    assert "demo model" in runner.until_done().content[0].text
