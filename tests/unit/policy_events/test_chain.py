"""The hash chain of events, and its verification by file and by command."""

import hashlib
import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from obscura.cli.policy import app
from obscura.policy.events import Features, read_event
from obscura.policy_events.chain import EventChain, recorded_event, verify
from tests.support.policy_events import an_event, chained


def lines(count: int) -> list[bytes]:
    return [event.line for event in chained(count)]


def test_each_event_has_the_sha256_of_the_line_before_it() -> None:
    first, second, third = lines(3)

    chains = [json.loads(line)["chain"] for line in (first, second, third)]
    assert [chain["sequence"] for chain in chains] == [1, 2, 3]
    assert len({chain["id"] for chain in chains}) == 1
    assert [chain["previous_sha256"] for chain in chains] == [
        None,
        hashlib.sha256(first).hexdigest(),
        hashlib.sha256(second).hexdigest(),
    ]


def test_a_chained_event_is_still_an_event_for_replay() -> None:
    (line,) = lines(1)

    assert read_event(line).event_id == "evt_1"


def test_an_event_that_cannot_be_encoded_takes_no_number() -> None:
    chain = EventChain()

    for wrong in (an_event(created_at="yesterday"), an_event(policy_user="\ud800")):
        with pytest.raises(ValueError, match=r".+"):
            chain.add(wrong)

    assert chain.add(an_event()).sequence == 1


def test_an_event_of_very_many_texts_is_shortened_and_stays_in_the_chain() -> None:
    chain = EventChain()
    large = an_event(1, features=Features(text_characters=(1,) * 500_000), policy_user="u" * 300_000,
                     denylist_hits=("hit",) * 90_000)  # fmt: skip

    events = [chain.add(large), chain.add(an_event(2))]

    event = json.loads(events[0].line)
    assert len(events[0].line) < 3000
    assert (event["shortened"], event["decision"], event["chain"]["sequence"]) == (True, "refuse", 1)
    assert (len(event["policy_user"]), len(event["denylist_hits"]), "features" in event) == (200, 20, False)
    assert verify([one.line for one in events])[0].intact
    assert not read_event(events[0].line).reported


def test_a_whole_chain_is_intact_in_any_order_and_with_repetitions() -> None:
    written = lines(4)

    (report,) = verify([*reversed(written), written[1]])

    assert report.intact
    assert (report.events, report.first, report.last) == (4, 1, 4)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_altered_event_shows(number: int) -> None:
    written = lines(4)
    written[number - 1] = written[number - 1].replace(b'"decision":"refuse"', b'"decision":"allow"')

    (report,) = verify(written)

    assert report.altered == (number,)


def test_an_event_that_was_replaced_beside_the_true_one_shows() -> None:
    written = lines(3)

    (report,) = verify([*written, written[2].replace(b"DENYLIST", b"ALLOW")])

    assert report.altered == (3,)


def test_events_that_were_taken_out_show_and_a_cut_beginning_does_not() -> None:
    written = lines(8)

    (report,) = verify([written[1], *written[4:]])

    assert report.missing == ((3, 4),)
    assert not report.intact
    assert verify(written[3:])[0].intact


def test_a_chain_that_claims_a_predecessor_of_its_first_event_is_broken() -> None:
    (first,) = lines(1)

    (report,) = verify([first.replace(b'"previous_sha256":null', b'"previous_sha256":"00"')])

    assert report.altered == (1,)


def test_chains_of_several_processes_are_verified_each() -> None:
    reports = verify(lines(2) + lines(3))

    assert [(report.events, report.intact) for report in reports] == [(2, True), (3, True)]


def test_events_are_found_in_log_lines_envelopes_and_webhooks_byte_for_byte() -> None:
    (line,) = lines(1)

    assert recorded_event(line + b"\n") == line
    assert recorded_event(b'{"level":"INFO", "event": %b}' % line) == line
    assert recorded_event(b'{"type":"policy.enforcement","data":%b}' % line) == line
    for other in (
        b'{"message":"request"}',
        b"START RequestId",
        b"",
        b"[1]",
        b'{"event":{"x":1}}',
        b"\xff",
        b"[" * 9999,
    ):
        assert recorded_event(other) is None


def test_verify_events_prints_each_chain_and_fails_for_a_broken_one(tmp_path: Path) -> None:
    written = lines(5)
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join([b'{"message":"request"}', *(b'{"event":%b}' % line for line in written)]))

    good = CliRunner().invoke(app, ["verify-events", str(log)])
    printed = CliRunner().invoke(app, ["verify-events", str(log), "--print"])
    log.write_bytes(b"\n".join([written[0], written[3].replace(b"refuse", b"allow"), written[4]]))
    bad = CliRunner().invoke(app, ["verify-events", str(log)])

    chain_id = json.loads(written[0])["chain"]["id"]
    assert (good.exit_code, good.stdout) == (0, f"chain {chain_id}: 5 events, 1 to 5, intact\n")
    assert printed.stdout.encode() == b"\n".join(written) + b"\n"
    assert "intact" in printed.stderr
    assert bad.exit_code == 1
    assert bad.stdout.splitlines()[1:] == ["  missing: 2 to 3", "  altered: 4"]


def test_verify_events_exits_with_2_for_a_file_without_events(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(msgspec.json.encode({"message": "request"}))

    assert CliRunner().invoke(app, ["verify-events", str(empty)]).exit_code == 2
    assert CliRunner().invoke(app, ["verify-events", str(tmp_path / "none")]).exit_code == 2
