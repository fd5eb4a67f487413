"""The settings of sinks: validated at the start, without their values in any message."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from obscura.aws.secrets import SECRETS
from obscura.bootstrap import validate_settings
from obscura.cli.doctor import examine
from obscura.httpclient.transport import FastTransport
from obscura.policy_events.open import open_policy_events, sinks_of
from obscura.settings import ConfigurationError, Settings, setting_errors, webhook_secrets
from obscura.settings_values import otlp_headers
from tests.support.policy_events import FixedClock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALL = {
    "WEBHOOK_URL": "https://hooks.example/policy/", "WEBHOOK_SECRET": SECRET, "SPLUNK_URL": "https://splunk.example:8088",
    "SPLUNK_TOKEN": "token", "SPLUNK_INDEX": "main", "DATADOG_KEY": "key\n", "DATADOG_SITE": "us5.datadoghq.com",
    "OTLP_URL": "http://127.0.0.1:4318", "OTLP_HEADERS": "api-key=a%20b, x-tenant=t=1", "FIREHOSE": "audit",
}  # fmt: skip


def settings_of(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(f"OBSCURA_POLICY_{name}", value)
    return Settings()


def test_every_sink_that_is_set_is_opened_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(sinks_of(Settings(), FastTransport(), FixedClock())) == []
    settings = settings_of(monkeypatch, **ALL)
    validate_settings(settings)
    sinks = list(sinks_of(settings, FastTransport(), FixedClock()))
    for sink in sinks:
        sink.close()

    assert [sink.name for sink in sinks] == ["webhook", "splunk", "datadog", "otlp", "firehose"]
    assert settings.policy_webhook_url == "https://hooks.example/policy/"


async def test_without_settings_events_are_log_lines_alone() -> None:
    async with open_policy_events(Settings(), FastTransport(), FixedClock()) as events:
        assert events.counts() == {"only_counted": {}, "unrecorded": 0, "sinks": {}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBHOOK_URL", "hooks.example"),
        ("WEBHOOK_URL", "https://hooks.example/a b"),
        ("WEBHOOK_URL", "https://hooks.example/#canary"),
        ("SPLUNK_URL", "ftp://splunk.example"),
        ("OTLP_URL", "http://"),
        ("WEBHOOK_SECRET", "canary"),
        ("WEBHOOK_SECRET", "whsec_Y2FuYXJ5"),
        ("WEBHOOK_SECRET", f"{SECRET} whsec_canary!"),
        ("WEBHOOK_SECRET", "whsec_" + "A" * 88),
        ("SPLUNK_TOKEN", "canary\nx: y"),
        ("SPLUNK_INDEX", "Canary Index"),
        ("DATADOG_SITE", "evil.example/canary"),
        ("DATADOG_SITE", "datadoghq"),
        ("OTLP_HEADERS", "canary"),
        ("OTLP_HEADERS", "a b=canary"),
        ("OTLP_HEADERS", "api-key=canary%0D%0Ax"),
        ("FIREHOSE", "a/canary"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_by_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        settings_of(monkeypatch, **{name: value})

    (error,) = setting_errors(raised.value)
    assert error.startswith(f"OBSCURA_POLICY_{name}: ")
    assert "anary" not in error


@pytest.mark.parametrize(
    ("url", "missing"), [("WEBHOOK_URL", "POLICY_WEBHOOK_SECRET"), ("SPLUNK_URL", "POLICY_SPLUNK_TOKEN")]
)
def test_a_url_without_its_secret_ends_the_start(monkeypatch: pytest.MonkeyPatch, url: str, missing: str) -> None:
    settings = settings_of(monkeypatch, **{url: ALL[url]})

    with pytest.raises(ConfigurationError, match=f"^OBSCURA_POLICY_{url} needs OBSCURA_{missing}"):
        validate_settings(settings)


def test_an_origin_of_checks_that_is_none_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(monkeypatch, CHECK_ALLOW="https://guard.internal, guard.internal")

    with pytest.raises(ConfigurationError, match=r"^OBSCURA_POLICY_CHECK_ALLOW: 'guard\.internal' "):
        validate_settings(settings)


def test_the_secrets_of_sinks_are_read_from_ssm_and_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"policy_webhook_secret", "policy_splunk_token", "policy_datadog_key", "policy_otlp_headers"}

    assert names <= SECRETS
    assert SECRET not in repr(settings_of(monkeypatch, **ALL))


def test_doctor_names_the_sinks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OBSCURA_DATA_DIR", str(tmp_path))
    settings = settings_of(monkeypatch, **ALL, CHECK_ALLOW="http://guard.internal:9000")

    findings = [finding for finding in examine(settings) if finding.subject.startswith("Policy ")]

    assert [finding.verdict for finding in findings] == ["ok"] * 5 + ["warn"]
    assert [finding.detail.split()[-1] for finding in findings][:5] == [
        "webhook", "splunk", "datadog", "otlp", "firehose",
    ]  # fmt: skip


def test_headers_and_secrets_are_decoded() -> None:
    assert otlp_headers(ALL["OTLP_HEADERS"]) == [("api-key", "a b"), ("x-tenant", "t=1")]
    assert [len(key) for key in webhook_secrets(f"{SECRET} whsec_{'A' * 84}AA==")] == [24, 64]


def test_v1_imports_neither_sinks_nor_checks() -> None:
    code = (
        "import sys; from obscura.api.app import create_app; from obscura.settings import Settings; "
        "create_app(Settings()); print([name for name in sys.modules if name.startswith('obscura.policy_')])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed == "[]\n"
