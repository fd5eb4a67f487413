"""The registry of caller dialects: every entry loads, and what it declares fits the other entries."""

from typing import Any

import pytest

from obscura.auth.base import KeyScope
from obscura.dialects import registry
from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.json.raw import RawJson
from obscura.errors import ObscuraError


@pytest.mark.parametrize("name", registry.names())
def test_a_registered_dialect_loads_under_its_own_name_and_scope(name: str) -> None:
    dialect = registry.load_dialect(name)

    assert dialect.name == KeyScope(name)
    assert dialect.credential_headers[0] == "authorization"
    assert dialect.summary


@pytest.mark.parametrize("name", registry.names())
def test_a_dialect_rejects_a_body_without_what_its_schema_requires(name: str) -> None:
    dialect = registry.load_dialect(name)
    required: Any = dialect.request_schema["required"]

    with pytest.raises(ObscuraError) as caught:
        dialect.parse(RequestHead(dialect.paths[0]), RawJson(b"{}"), ContentLimits())

    assert caught.value.param in required


def test_no_two_dialects_have_a_path_in_common() -> None:
    paths = [path for name in registry.names() for path in registry.load_dialect(name).paths]

    assert len(paths) == len(set(paths))


def test_the_pivot_is_registered() -> None:
    assert registry.require_dialect(registry.PIVOT) == registry.PIVOT


def test_an_unknown_dialect_is_rejected_with_the_names_of_all() -> None:
    with pytest.raises(ValueError, match="chat, messages, responses"):
        registry.require_dialect("telepathy")
    with pytest.raises(KeyError):
        registry.load_dialect("telepathy")
