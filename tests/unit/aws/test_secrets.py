"""Secrets at a start: which are read, from where, and what a thousand starts at once make of a small quota."""

import heapq
import json
import random
from pathlib import Path
from typing import Any

import pytest

from obscura.aws.secrets import SECRETS, used_secrets, with_secrets
from obscura.bootstrap_catalog import load_catalog
from obscura.settings import ConfigurationError, Settings
from obscura.stores import secret_values
from obscura.stores.secret_values import PatientReader, SecretsUnreadable, may_try_again, pauses_s, read_parameters
from obscura.upstreams.catalog_file import CatalogError

UPSTREAM = "https://up.example/v1"


class Service:
    """SSM and Secrets Manager with these values; ``failures`` are raised one by one before it answers."""

    def __init__(self, values: dict[str, str], *failures: Exception) -> None:
        self.values = values
        self.failures = list(failures)
        self.calls: list[Any] = []
        self.exceptions = self

    ResourceNotFoundException = KeyError

    def get_parameters(self, Names: list[str], WithDecryption: bool) -> dict:  # noqa: N803 boto3's names
        self._answer(Names)
        return {"Parameters": [{"Name": name, "Value": self.values[name]} for name in Names if name in self.values]}

    def get_secret_value(self, SecretId: str) -> dict:  # noqa: N803
        self._answer(SecretId)
        return {"SecretString": self.values[SecretId]}

    def _answer(self, asked: object) -> None:
        self.calls.append(asked)
        if self.failures:
            raise self.failures.pop(0)

    def close(self) -> None: ...


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Any:
    def serve(values: dict[str, str], *failures: Exception) -> Service:
        service = Service(values, *failures)
        monkeypatch.setattr(secret_values, "_open", lambda _: service)
        return service

    return serve


def throttled() -> Exception:
    from botocore.exceptions import ClientError  # noqa: PLC0415 heavy

    error = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
    return ClientError(error, "GetParameters")  # type: ignore[arg-type]


def rejected() -> Exception:
    from botocore.exceptions import ClientError  # noqa: PLC0415 heavy

    return ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetParameters")


def settings(**fields: Any) -> Settings:
    return Settings(secrets_path="/obscura", **fields)


def test_the_demo_reads_nothing(serving: Any) -> None:
    service = serving({"/obscura/address-secret": "0123456789abcdef"})

    assert with_secrets(settings()) == settings()
    assert service.calls == []


def test_the_secrets_of_a_stack_are_read_in_one_call(serving: Any) -> None:
    service = serving({"/obscura/upstream-key": "sk-1", "/obscura/address-secret": "0123456789abcdef"})

    complete = with_secrets(settings(upstream_url=UPSTREAM))

    assert service.calls == [["/obscura/address-secret", "/obscura/moderation-key", "/obscura/upstream-key"]]
    assert complete.upstream_key is not None
    assert complete.upstream_key.get_secret_value() == "sk-1"
    assert complete.read_at_start == {}


def test_each_secret_is_read_where_its_setting_is() -> None:
    everything = {
        "upstream_url": UPSTREAM,
        "policy_webhook_url": "https://a.example",
        "policy_splunk_url": "https://b.example",
        "policy_datadog_site": "datadoghq.eu",
        "policy_otlp_url": "https://c.example",
        "traces_url": "https://d.example/v1/traces",
    }

    assert set(used_secrets(settings(**everything))) == SECRETS
    assert used_secrets(settings(policy_otlp_url="https://c.example")) == ["address_secret", "policy_otlp_headers"]


def test_from_secrets_manager_they_are_one_json_object(serving: Any) -> None:
    service = serving({"/obscura": json.dumps({"upstream-key": "sk-1", "another": "x"})})

    complete = with_secrets(settings(upstream_url=UPSTREAM, secrets_source="secretsmanager"))

    assert service.calls == ["/obscura"]
    assert complete.upstream_key is not None
    assert complete.upstream_key.get_secret_value() == "sk-1"


@pytest.mark.parametrize("text", ["sk-secret", '["sk-secret"]', '{"upstream-key": 1}', None])
def test_another_form_of_secret_fails_the_start_without_being_shown(text: str | None, serving: Any) -> None:
    serving({} if text is None else {"/obscura": text})

    with pytest.raises(ConfigurationError, match="OBSCURA_SECRETS_PATH") as raised:
        with_secrets(settings(upstream_url=UPSTREAM, secrets_source="secretsmanager"))

    assert "sk-secret" not in str(raised.value)


CATALOG = """
[[upstreams]]
name = "a"
url = "https://a.example/v1"
key_ssm = "/keys/a"
[[upstreams]]
name = "b"
url = "https://b.example/v1"
key_secret = "b-key"
[[models]]
id = "m"
upstream = "a"
"""


def test_the_catalogs_keys_are_read_in_the_same_call(serving: Any, tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(CATALOG)
    service = serving({"/keys/a": "sk-a", "b-key": "sk-b", "/obscura/address-secret": "0123456789abcdef"})

    complete = with_secrets(settings(models=path))
    _, keys = load_catalog(complete)

    assert service.calls == [["/keys/a", "/obscura/address-secret"], "b-key"]
    assert (keys["ssm:/keys/a"], keys["secret:b-key"]) == ("sk-a", "sk-b")


def test_the_catalog_may_be_a_parameter(serving: Any) -> None:
    serving({"/catalog": CATALOG, "/keys/a": "sk-a", "b-key": "sk-b"})

    document, keys = load_catalog(Settings(models="ssm:/catalog"))

    assert [model.id for model in document.models] == ["m"]
    assert keys["ssm:/keys/a"] == "sk-a"


def test_a_catalog_that_is_not_there_is_named(serving: Any) -> None:
    serving({})

    with pytest.raises(CatalogError, match="ssm:/catalog cannot be read"):
        load_catalog(Settings(models="ssm:/catalog"))


def test_a_start_that_is_throttled_four_times_succeeds(serving: Any) -> None:
    service = serving({"/a": "1"}, *[throttled() for _ in range(4)])
    slept: list[float] = []

    assert read_parameters(["/a"], PatientReader(now_s=lambda: sum(slept), sleep=slept.append)) == {"/a": "1"}
    assert len(service.calls) == 5
    assert all(pause <= most for pause, most in zip(slept, (0.25, 0.5, 1, 2), strict=True))


def test_a_start_that_is_rejected_fails_at_once(serving: Any) -> None:
    service = serving({}, rejected())

    with pytest.raises(SecretsUnreadable, match="AccessDenied"):
        read_parameters(["/a"], PatientReader(sleep=lambda _: None))

    assert len(service.calls) == 1


STARTS_PER_S, SPIKE_S, CALLS_PER_S, INIT_S = 200, 10, 40, 10.0
"""The audit's spike: two functions from nothing to a thousand each, against the quota that every account has."""


def failed_starts(seed: int) -> int:
    """Return how many of the spike's starts fail, in a simulation of SSM's token bucket and of Lambda's second start.

    A start that takes over ten seconds is begun once more by Lambda, without that limit.
    """
    source = random.Random(seed)  # noqa: S311 a simulation
    # When, which start, when it began, its tries so far, and whether Lambda began it for the second time.
    events: list[tuple[float, int, float, int, bool]] = []
    pauses = {}
    for number in range(STARTS_PER_S * SPIKE_S):
        at_s = number / STARTS_PER_S
        events.append((at_s, number, at_s, 0, False))
        pauses[number] = pauses_s(source.uniform)
    heapq.heapify(events)
    tokens, filled_at_s, failed = float(CALLS_PER_S), 0.0, 0
    while events:
        at_s, number, begun_at_s, tries, second = heapq.heappop(events)
        tokens = min(CALLS_PER_S, tokens + (at_s - filled_at_s) * CALLS_PER_S)
        filled_at_s = at_s
        if tokens >= 1:
            tokens -= 1
            continue
        pause_s = next(pauses[number])
        next_at_s = at_s + 0.02 + pause_s
        if not second and next_at_s - begun_at_s > INIT_S:
            pauses[number] = pauses_s(source.uniform)
            heapq.heappush(events, (begun_at_s + INIT_S, number, begun_at_s + INIT_S, 0, True))
        elif may_try_again(tries + 1, next_at_s - begun_at_s, throttled=True):
            heapq.heappush(events, (next_at_s, number, begun_at_s, tries + 1, second))
        else:
            failed += 1
    return failed


def test_of_2000_starts_in_ten_seconds_none_fails_at_40_calls_a_second() -> None:
    assert [failed_starts(seed) for seed in range(3)] == [0, 0, 0]
