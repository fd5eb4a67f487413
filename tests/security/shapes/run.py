"""Runs request shapes through the gateway and judges what the upstream got."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.security.shapes.gateway_in_process import GatewayInProcess, Lane, Outcome, gateway_in_process
from tests.security.shapes.inspector import Finding, inspect
from tests.security.shapes.shapes import Shape

EXAMPLES_OF_EACH = 3


@dataclass(slots=True)
class Tally:
    """The counts of one lane."""

    lane: Lane
    shapes: int = 0
    served: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    plain: Counter[str] = field(default_factory=Counter)
    unmoderated: int = 0
    tolerated: int = 0
    mechanisms: Counter[str] = field(default_factory=Counter)
    by_group: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, shape: Shape, outcome: Outcome, findings: list[Finding]) -> None:
        """Count one shape."""
        self.shapes += 1
        if shape.group == "plain":
            self.plain["served" if outcome.status == 200 else outcome.code] += 1
        if outcome.status >= 500:
            self.faults.append(f"{outcome.status} {outcome.code}: {shape.id}")
        if outcome.status == 200:
            self.served += 1
        else:
            self.refused[f"{outcome.status} {outcome.code}"] += 1
        grave = [finding for finding in findings if not finding.tolerated]
        self.unmoderated += bool(grave)
        self.tolerated += bool(findings) and not grave
        self.by_group[shape.group] += bool(grave)
        for what in dict.fromkeys(finding.what for finding in grave):
            self.mechanisms[what] += 1
            kept = self.examples.setdefault(what, [])
            if len(kept) < EXAMPLES_OF_EACH:
                place = next(finding.path for finding in grave if finding.what == what)
                kept.append(f"{shape.id} → {place}")


async def judge(gateway: GatewayInProcess, body: bytes) -> tuple[Outcome, list[Finding]]:
    """Send one body and judge what reached the upstream."""
    outcome = await gateway.send(body)
    findings = inspect(outcome.seen.bodies, gateway.lane.upstream_dialect, outcome.seen, outcome.unmoderated)
    return outcome, findings


async def run(lane: Lane, shapes: Iterable[Shape]) -> Tally:
    """Send all shapes to a lane, one after the other."""
    tally = Tally(lane)
    async with gateway_in_process(lane) as gateway:
        for shape in shapes:
            outcome, findings = await judge(gateway, shape.body)
            tally.add(shape, outcome, findings)
    return tally
