"""Errors: the copy that names a path, and which errors share a code."""

import pytest

from obscura.errors import ImageTooLarge, ModerationBlocked, ObscuraError, StoreUnavailable, UpstreamUnavailable


def test_a_copy_at_a_path_changes_nothing_but_the_path() -> None:
    error = ImageTooLarge("Too large.", retry_after_s=7)
    error.headers["x-a"] = "b"
    error.response_status = 418

    copy = error.at("messages[0]")

    assert type(copy) is ImageTooLarge
    assert (copy.param, copy.message, str(copy)) == ("messages[0]", "Too large.", "Too large.")
    assert (copy.retry_after_s, copy.response_status, copy.headers) == (7, 418, {"x-a": "b"})
    assert error.param is None
    assert copy.headers is not error.headers


def test_a_copy_keeps_the_arguments_of_its_class() -> None:
    copy = ModerationBlocked("Blocked.", category="violence").at("input")

    assert (copy.param, copy.category) == ("input", "violence")


def test_a_copy_keeps_traceback_and_cause() -> None:
    cause = ValueError("the cause")
    with pytest.raises(ObscuraError) as raised:
        raise ImageTooLarge("Too large.") from cause

    copy = raised.value.at("messages[0]")

    assert copy.__traceback__ is raised.value.__traceback__
    assert copy.__cause__ is cause


def test_an_unavailable_store_looks_like_an_unavailable_upstream() -> None:
    assert (StoreUnavailable.status, StoreUnavailable.code) == (UpstreamUnavailable.status, UpstreamUnavailable.code)
