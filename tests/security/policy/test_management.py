"""Attacks on the management of policies: documents that cost much to compare, and answers that grow."""

import secrets
from time import process_time

from obscura.policy.cases import parse_cases
from obscura.policy.engine import CompiledPolicy
from obscura.policy.management import Simulated
from obscura.policy.objects import MAX_SHOWN_CHARS, Simulation
from obscura.policy.parse import parse_document
from obscura.policy.trial import try_case
from obscura.policy.versions import diff


def test_two_documents_of_the_most_terms_are_compared_in_linear_time() -> None:
    old, new = (
        parse_document({"policy_id": "p1", "rules": {"denylist": [secrets.token_hex(12) for _ in range(10_000)]}})
        for _ in range(2)
    )

    started_s = process_time()
    changes = diff(old, new)

    assert len(changes) == 20_000
    assert process_time() - started_s < 2  # 16 s by comparing each entry with each


def test_a_simulation_does_not_show_more_than_its_answer_may_have() -> None:
    policy = CompiledPolicy(parse_document({"policy_id": "p1"}))
    cases = parse_cases([{"output": "x" * (MAX_SHOWN_CHARS // 4)} for _ in range(8)], "samples")

    simulation = Simulation.of(Simulated("p1", 1, [try_case(policy, case) for case in cases]))

    assert [result.decision for result in simulation.results] == ["allow"] * 8
    shown = [result.output for result in simulation.results]
    assert shown == [case.output for case in cases[:4]] + [None] * 4
