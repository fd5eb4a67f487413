"""Settings: their former names and values still work, and are pointed out."""

import pytest
from pydantic import ValidationError

from obscura.settings import Deprecation, Settings, deprecations, setting_errors


def settings_of(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(f"OBSCURA_{name}", value)
    return Settings()


@pytest.mark.parametrize(
    ("environment", "cached"),
    [
        ({}, True),
        ({"CACHE_VERDICTS": "false"}, False),
        ({"REMEMBER_VERDICTS": "false"}, False),
        ({"CACHE_VERDICTS": "true", "REMEMBER_VERDICTS": "false"}, True),
        ({"CACHE_VERDICTS": "", "REMEMBER_VERDICTS": "false"}, False),
    ],
)
def test_the_former_name_of_cache_verdicts_still_works(
    monkeypatch: pytest.MonkeyPatch, environment: dict, cached: bool
) -> None:
    assert settings_of(monkeypatch, **environment).cache_verdicts is cached


@pytest.mark.parametrize(
    ("value", "effective"),
    [("", "deny"), ("deny", "deny"), ("closed", "deny"), ("keys", "cached_keys"), ("cached_keys", "cached_keys")],
)
def test_the_former_values_of_store_outage_still_work(
    monkeypatch: pytest.MonkeyPatch, value: str, effective: str
) -> None:
    assert settings_of(monkeypatch, STORE_OUTAGE=value).store_outage == effective


def test_former_names_and_values_are_pointed_out() -> None:
    environment = {"OBSCURA_REMEMBER_VERDICTS": "false", "OBSCURA_STORE_OUTAGE": "keys", "OBSCURA_LOG_LEVEL": "INFO"}

    assert deprecations(environment) == [
        Deprecation("OBSCURA_REMEMBER_VERDICTS", "is now OBSCURA_CACHE_VERDICTS"),
        Deprecation("OBSCURA_STORE_OUTAGE", "'keys' is now 'cached_keys'"),
    ]
    assert deprecations({"OBSCURA_CACHE_VERDICTS": "false", "OBSCURA_STORE_OUTAGE": "cached_keys"}) == []


@pytest.mark.parametrize("old", [{"CACHE_VERDICTS": "perhaps"}, {"REMEMBER_VERDICTS": "perhaps"}])
def test_an_invalid_value_is_named_by_the_setting(monkeypatch: pytest.MonkeyPatch, old: dict) -> None:
    with pytest.raises(ValidationError) as raised:
        settings_of(monkeypatch, **old)

    (error,) = setting_errors(raised.value)
    assert error.startswith("OBSCURA_CACHE_VERDICTS: ")


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("", ()),
        ("*", ("*",)),
        ("https://App.example.com/, http://localhost:5173", ("https://app.example.com", "http://localhost:5173")),
        ("https://a.example:443,http://a.example:80", ("https://a.example", "http://a.example")),
        ("http://[::1]:8080", ("http://[::1]:8080",)),
    ],
)  # fmt: skip
def test_origins_are_written_as_browsers_send_them(
    monkeypatch: pytest.MonkeyPatch, value: str, origins: tuple[str, ...]
) -> None:
    assert settings_of(monkeypatch, CORS_ORIGINS=value).cors_origins == origins


@pytest.mark.parametrize(
    "value",
    [
        "*,https://a.example", "https://*.example.com", "a.example", "null", "https://a.example/app", "https://u@a.example",
        "ftp://a.example", "https://ä.example",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_rejected_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    with pytest.raises(ValidationError) as raised:
        settings_of(monkeypatch, CORS_ORIGINS=value)

    (error,) = setting_errors(raised.value)
    assert error.startswith("OBSCURA_CORS_ORIGINS: ")
