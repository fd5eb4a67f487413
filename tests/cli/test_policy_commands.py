"""``obscura policy``: what it prints, and the status that CI goes by; docs/policy.md as it is written."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from obscura.cli.policy import app
from obscura.policy.parse import document_schema

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples" / "policy"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def shown_commands() -> list[tuple[str, str]]:
    """Each command of docs/policy.md, with the output and the exit status that it shows."""
    blocks = re.findall(r"```console\n\$ obscura policy (.*?)\n(.*?)```", (DOCS / "policy.md").read_text(), re.DOTALL)
    assert len(blocks) >= 7
    return blocks


@pytest.mark.parametrize(("command", "shown"), shown_commands())
def test_the_page_shows_what_the_command_prints(command: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)

    result = run(*command.split())

    status = f"(exit status {result.exit_code})\n" if result.exit_code else ""
    assert "".join(line.rstrip() + "\n" for line in result.output.splitlines()) + status == shown


def test_the_page_shows_the_policy_that_it_runs() -> None:
    assert (EXAMPLES / "support.yaml").read_text() in (DOCS / "policy.md").read_text()


def test_the_schema_is_shipped() -> None:
    shipped = json.loads((DOCS / "reference" / "policy.schema.json").read_text())

    assert shipped == document_schema()
    assert json.loads(run("validate", "--schema").stdout) == shipped


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.json").write_text('{"policy_id": "p", "rules": {"denylist": ["forbidden"], "redact_pii": true}}')
    (tmp_path / "same.json").write_text('{"policy_id": "p", "rules": {"redact": true, "denylist": ["forbidden"]}}')
    (tmp_path / "wrong.json").write_text('{"policy_id": "p", "rules": {"denylst": []}}')
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "bytes.json").write_bytes(b"\xff")
    (tmp_path / "fails.json").write_text('[{"name": "n", "text": "forbidden", "expect": {"decision": "allow"}}]')
    (tmp_path / "silent.json").write_text('[{"text": "forbidden"}]')
    (tmp_path / "typing.json").write_text('[{"txt": "forbidden"}]')
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "no-event.jsonl").write_text('{"event_id": 1}\n')
    return tmp_path


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("validate p.json", 0, "p is valid"),
        ("validate", 2, "Name a policy document"),
        ("validate p.json wrong.json", 1, "rules.denylst"),
        ("validate broken.json", 1, "not valid JSON"),
        ("validate bytes.json", 2, "not UTF-8"),
        ("validate missing.json", 2, "cannot be read"),
        ("validate --stored same.json", 0, '"redact_pii": true'),
        ("explain p.json --text forbidden", 0, "refuse (DENYLIST_HIT)"),
        ("explain p.json --text a@b.co", 0, "{EMAIL_1}"),
        ("explain p.json --text hello --floor wrong.json", 1, "rules.denylst"),
        ("test p.json fails.json", 1, "decision is refuse, expected allow"),
        ("test p.json silent.json", 2, "no case says what it expects"),
        ("test p.json typing.json", 1, "cases[0].txt"),
        ("simulate p.json silent.json", 0, "1 requests: 1 refuse"),
        ("simulate p.json silent.json --json", 0, '"rule": "policy.denylist"'),
        ("diff p.json same.json", 0, ""),
        ("diff p.json wrong.json", 1, "rules.denylst"),
        ("replay p.json empty.jsonl", 0, "0 events: 0 decisions change"),
        ("replay p.json no-event.jsonl", 2, "no-event.jsonl:1 is no event"),
    ],
)
def test_the_exit_status_says_what_ci_needs(files: Path, command: str, status: int, words: str) -> None:
    result = run(*command.split())

    assert result.exit_code == status, result.output
    assert words in result.output


def test_a_replay_can_stop_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)

    assert run("replay", "support-v2.json", "events.jsonl", "--fail-on-change").exit_code == 1
    assert run("replay", "support.yaml", "events.jsonl", "--fail-on-change").exit_code == 0
