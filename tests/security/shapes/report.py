"""``python -m tests.security.shapes.report OUT.md [--sample N] [dialect …]``: all shapes, and what became of them."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from tests.security.shapes.gateway_in_process import LANES, Lane
from tests.security.shapes.run import Tally, run
from tests.security.shapes.shapes import sampled, shapes

TOP = 40


def written(tally: Tally, elapsed_s: float) -> str:
    """Return the section of one lane."""
    lines = [
        f"## {tally.lane.name}",
        "",
        f"{tally.shapes:,} shapes in {elapsed_s:.0f} s ({tally.shapes / elapsed_s:,.0f} a second), "
        f"{tally.served:,} served, "
        f"**{tally.unmoderated:,} with unmoderated findings** (and {tally.tolerated:,} tolerated: short hex, percent, "
        f"numbers, file ids in unknown fields), {len(tally.faults)} answers of 500 and above.",
        "",
        f"By carrier: {_counts(tally.by_group)}.",
        f"Harmless text in each place: {_counts(tally.plain)}.",
        "",
        "| refused | shapes |",
        "|---|---|",
        *(f"| `{code}` | {count:,} |" for code, count in tally.refused.most_common()),
        "",
        "| mechanism | shapes | for example |",
        "|---|---|---|",
    ]
    for what, count in tally.mechanisms.most_common(TOP):
        examples = "<br>".join(f"`{example.replace('|', '¦')}`" for example in tally.examples[what])
        lines.append(f"| {what} | {count:,} | {examples} |")
    lines += ["", *(f"- {fault}" for fault in tally.faults[:TOP]), ""]
    return "\n".join(lines)


def _counts(counter: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items(), key=lambda each: -each[1]) if count)


def timed_run(lane: Lane, sample: int | None) -> tuple[Tally, float]:
    """Run one lane; without a sample, all shapes of its dialect."""
    started = perf_counter()
    tally = asyncio.run(run(lane, sampled(lane.dialect, sample) if sample else shapes(lane.dialect)))
    return tally, perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; return 1 if anything reached an upstream unmoderated, or failed."""
    parser = argparse.ArgumentParser(prog="tests.security.shapes.report")
    parser.add_argument("out", type=Path)
    parser.add_argument("--sample", type=int, help="shapes of each lane; all of them by default")
    parser.add_argument("dialects", nargs="*", default=[])
    given = parser.parse_intermixed_args(arguments)
    sections: list[str] = []
    bad = 0
    for lane in LANES:
        if given.dialects and lane.dialect not in given.dialects:
            continue
        tally, elapsed_s = timed_run(lane, given.sample)
        bad += tally.unmoderated + len(tally.faults)
        sections.append(written(tally, elapsed_s))
        print(
            f"{lane.name}: {tally.shapes:,} shapes, {tally.unmoderated:,} unmoderated, {len(tally.faults)} faults",
            flush=True,
        )
        given.out.write_text("# Request shapes\n\n" + "\n".join(sections))
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
