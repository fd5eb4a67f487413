"""The table of documents in docs/fields-messages.md, checked against the SDK's own types and against the code."""

import re
from pathlib import Path

import pytest

from tests.contract.fields.messages.sdk_requests import block_types, fields_of, type_names, typed_dicts
from tests.unit.dialects.messages.conversations import (
    OURS,
    PDF,
    a_document,
    a_request,
    image,
    in_chat,
    parse,
    text,
    user,
)

PAGE = (Path(__file__).parents[4] / "docs/fields-messages.md").read_text()
SECTION = PAGE.partition("## Documents")[2].partition("## Tools")[0]
FIRST_CELLS = " ".join(re.findall(r"^\| (`.*?) \|", SECTION, re.MULTILINE))
SOURCES: dict[str, list[dict]] = {
    "`base64`, `url`, `file` with a PDF": [
        {"type": "base64", "media_type": "application/pdf", "data": PDF},
        {"type": "url", "url": "https://example.com/a.pdf"},
        {"type": "file", "file_id": OURS},
    ],
    "`base64`, `url`, `file` with anything else": [
        {"type": "base64", "media_type": "application/pdf", "data": "QUFBQUFBQUFBQUFB"},
        {"type": "file", "file_id": "file_011C"},
    ],
    "`text`": [{"type": "text", "media_type": "text/plain", "data": "words"}],
    "`content`": [{"type": "content", "content": [text("words"), image()]}],
}


def becomes(source: dict) -> tuple[str, str]:
    """What the table of documents says of a source, natively and over chat."""
    parsed = parse(a_request(user(a_document(source=source))))
    if parsed.unchecked:
        return "refused", "refused"
    if parsed.documents:
        return "pages", "pages"
    (sent,) = in_chat(a_request(user(a_document(source=source))))["messages"]
    has_images = isinstance(sent["content"], list) and any("image_url" in part for part in sent["content"])
    return "passed on", "text and images" if has_images else "text"


@pytest.mark.parametrize("label", SOURCES)
def test_a_document_becomes_what_the_table_says(label: str) -> None:
    (row,) = re.findall(rf"^\| {re.escape(label)} \| (.*?) \| (.*?) \|", SECTION, re.MULTILINE)

    assert {becomes(source) for source in SOURCES[label]} == {row}


def test_the_documents_table_has_every_source_of_the_sdk() -> None:
    kinds = {name for kind in typed_dicts(fields_of(block_types()["document"])["source"]) for name in type_names(kind)}

    assert (
        set(re.findall(r"`(\w+)`", FIRST_CELLS))
        == kinds
        == {source["type"] for sources in SOURCES.values() for source in sources}
    )
