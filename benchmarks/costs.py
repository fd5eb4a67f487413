"""``python -m benchmarks.costs``: what a stack costs and how far it carries, as docs/operating.md has it.

Change ``PRICES`` or ``LOAD``, then run it with ``--write``. Public prices, us-east-1, late 2026; 730 hours a month.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "operating.md"
COSTS, REACH = "costs", "reach"

PRICES: dict[str, float] = {
    "lambda_requests_million": 0.20,
    "snapstart_restore_gb": 0.00014,
    "dynamodb_write_million": 0.625,
    "dynamodb_read_million": 0.125,
    "logs_gb": 0.50,
    "fargate_arm_vcpu_hour": 0.03238,
    "fargate_arm_gb_hour": 0.00356,
    "fargate_x86_vcpu_hour": 0.04048,
    "fargate_x86_gb_hour": 0.004445,
    "alb_hour": 0.0225,
    "lcu_hour": 0.008,
    "ipv4_hour": 0.005,
    "managed_vcpu_hour": 0.0388,  # an EC2 instance of Graviton with 2 GB a vCPU
    "managed_fee": 0.15,
    "nat_gb": 0.045,
}
"""US dollars."""
TIERS: dict[str, tuple[tuple[float, float], ...]] = {
    "lambda_arm_gb_s": ((7.5e9, 0.0000133334), (11.25e9, 0.0000120001), (float("inf"), 0.0000106667)),
    "rest_request": ((333e6, 3.5e-6), (667e6, 2.8e-6), (19e9, 2.38e-6), (float("inf"), 1.51e-6)),
    "egress_gb": ((10_240, 0.09), (40_960, 0.085), (102_400, 0.07), (float("inf"), 0.05)),
}
"""Amounts and the price of each, one after the other."""

LOAD: dict[str, float] = {
    "answer_s": 10,
    "image_cpu_ms": 56,  # docs/benchmark.md has this machine's; these two are the audit's
    "text_cpu_ms": 2.3,
    "image_kb": 400,
    "log_kb": 2,
    "writes": 2,  # a key's rate, and the sums of usage
    "cpu_part": 0.6,
    "init_s": 1.2,
    "in_flight_per_vcpu": 64,
}
"""What a request is, by measurements of this project."""

RATES = (100, 1_000, 10_000)
MEMORY_MB = (512, 1_024, 1_769)
HOURS, SECONDS = 730, 730 * 3600


def tiered(name: str, amount: float) -> float:
    """Return the price of an amount over the tiers of a service."""
    total = 0.0
    for size, price in TIERS[name]:
        total += min(amount, size) * price
        amount -= size
        if amount <= 0:
            break
    return total


def lambda_usd(seconds: float, memory_mb: int) -> float:
    """Return the price of one request that takes so long, in the first tier."""
    return seconds * memory_mb / 1024 * TIERS["lambda_arm_gb_s"][0][1]


def egress_gb(image_kb: float) -> float:
    """Return what one prepared image sends: as base64, to moderation and to the model."""
    return image_kb / 1e6 * 4 / 3 * 2


def fixed_usd() -> dict[str, float]:
    """Return what 1,000 requests cost beside the time of their function."""
    return {
        "requests": PRICES["lambda_requests_million"] / 1000,
        "REST API": TIERS["rest_request"][0][1] * 1000,
        "DynamoDB": LOAD["writes"] * PRICES["dynamodb_write_million"] / 1000,
        "logs": LOAD["log_kb"] / 1e6 * 1000 * PRICES["logs_gb"],
    }


def costs() -> Iterator[str]:
    """Yield the lines of the cost tables."""
    fixed = fixed_usd()
    beside = " + ".join(f"{value:.4f}" for value in fixed.values())
    memories = " | ".join(f"{mb:,} MB" for mb in MEMORY_MB)
    yield f"| answer after | Lambda {memories} | + {', '.join(fixed)} | in all (512 / 1,769 MB) |"
    yield "|---|---|---|---|---|---|"
    for seconds in (3, 10, 30):
        prices = [1000 * lambda_usd(seconds, mb) for mb in MEMORY_MB]
        in_all = " / ".join(f"{price + sum(fixed.values()):.3f}" for price in (prices[0], prices[-1]))
        yield f"| {seconds} s | {' | '.join(f'{price:.3f}' for price in prices)} | {beside} | {in_all} |"
    yield ""
    yield "| on top of that, per 1,000 | USD |"
    yield "|---|---|"
    for image_kb in (150, 400, 1_000):
        price = egress_gb(image_kb) * TIERS["egress_gb"][0][1] * 1000
        yield f"| images of {image_kb:,} KB as prepared: egress, as base64, to moderation and the model | {price:.3f} |"
    start = 1000 * lambda_usd(LOAD["init_s"], 1_769)
    yield f"| cold starts at 1,769 MB, whose {LOAD['init_s']} s of init are billed | {start:.3f} |"
    restore = 1000 * 1_769 / 1024 * PRICES["snapstart_restore_gb"]
    yield f"| restores by SnapStart at 1,769 MB | {restore:.3f} |"
    for what, writes in WRITES.items():
        price = writes * PRICES["dynamodb_write_million"] / 1000
        yield f"| {what}: {writes} more write unit{'s' if writes > 1 else ''} | {price:.4f} |"
    through_nat = egress_gb(LOAD["image_kb"]) * PRICES["nat_gb"] * 1000
    yield f"| images of {LOAD['image_kb']:.0f} KB through a NAT gateway | {through_nat:.3f} |"


WRITES = {
    "requests of a key with one budget: reserved, then settled": 2,
    "requests of a key with two budgets: a transaction of two items, doubled, then both settled": 6,
    "free requests from IPv4: a transaction of one item, doubled, in place of a key's rate": 1,
    "free requests from IPv6: a transaction of three items, doubled, in place of a key's rate": 5,
    "requests under a policy's quota: a transaction of one item, doubled": 2,
    "images or texts found clean for the first time: their cached verdict": 1,
}
"""Write units beside the two that every request has (``stores/dynamodb``); a transaction's count twice."""


def container_month_usd(cpu: str, vcpus: float, memory_gb: float) -> float:
    """Return the price of a Fargate task for a month."""
    return HOURS * (vcpus * PRICES[f"fargate_{cpu}_vcpu_hour"] + memory_gb * PRICES[f"fargate_{cpu}_gb_hour"])


def balancer_month_usd() -> float:
    """Return the price of a load balancer at rest."""
    return HOURS * PRICES["alb_hour"]


def reach() -> Iterator[str]:
    """Yield the lines of "How far it carries"."""
    yield f"| | {' | '.join(f'{rate:,} requests/s' for rate in RATES)} |"
    yield "|---|" + "---|" * len(RATES)
    monthly = [rate * SECONDS for rate in RATES]
    seconds = LOAD["answer_s"]
    yield _row("in flight at 10 s / 30 s", [f"{rate * 10:,} / {rate * 30:,}" for rate in RATES])
    yield _row("**breaks first**", BREAKS)
    yield _row("**move to**", MOVES)
    lambdas = [
        " / ".join(_usd(tiered("lambda_arm_gb_s", count * seconds * mb / 1024)) for mb in (1_769, 512))
        for count in monthly
    ]
    yield _row("Lambda, 1,769 / 512 MB", lambdas)
    managed = [rate * seconds / LOAD["in_flight_per_vcpu"] for rate in RATES]
    vcpu_month = HOURS * PRICES["managed_vcpu_hour"] * (1 + PRICES["managed_fee"])
    yield _row(
        "Managed Instances, by requests in flight",
        [f"{vcpus:,.0f} vCPU, {_usd(vcpus * vcpu_month)}" for vcpus in managed],
    )
    task_month = container_month_usd("arm", 1, 2)
    for kind in ("image", "text"):
        tasks = [max(1, rate * LOAD[f"{kind}_cpu_ms"] / 1000 / LOAD["cpu_part"]) for rate in RATES]
        priced = [f"{vcpus:,.0f} vCPU, {_usd(vcpus * task_month)}" for vcpus in tasks]
        yield _row(f"Fargate arm64, by the CPU of {kind}s", priced)
    yield _row("REST API", [_usd(tiered("rest_request", count)) for count in monthly])
    bytes_gb_hour = [rate * 3600 * LOAD["image_kb"] / 1e6 * 4 / 3 for rate in RATES]
    yield _row(
        "or a load balancer", [_usd(balancer_month_usd() + HOURS * PRICES["lcu_hour"] * gb) for gb in bytes_gb_hour]
    )
    writes = [LOAD["writes"] * count * PRICES["dynamodb_write_million"] / 1e6 for count in monthly]
    yield _row("DynamoDB", [_usd(price) for price in writes])
    yield _row("logs", [_usd(count * LOAD["log_kb"] / 1e6 * PRICES["logs_gb"]) for count in monthly])
    out_gb = [count * egress_gb(LOAD["image_kb"]) for count in monthly]
    yield _row("egress of images", [f"{_terabytes(gb)}, {_usd(tiered('egress_gb', gb))}" for gb in out_gb])
    yield _row("a NAT gateway, if any", [f"+ {_usd(gb * PRICES['nat_gb'])}" for gb in out_gb])


BREAKS = (
    "the quota of 1,000 environments, full at 10 s",
    "one key's item, at 1,000 writes/s; environments start at 1,000 in 10 s a function",
    "API Gateway's 10,000 requests/s an account; a new table's 4,000 writes/s",
)
MOVES = (
    "a higher quota; from 3 to 5 requests/s on, Managed Instances or the container cost less",
    "Managed Instances or Fargate; busy keys with `--shards`",
    "Fargate behind load balancers, in several regions or accounts; warm throughput for tables; private egress prices",
)


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _usd(amount: float) -> str:
    """Return an amount with two or three digits that mean something."""
    if amount >= 999_500:
        return f"{amount / 1e6:.1f} M"
    digits = 10 ** max(0, len(f"{amount:.0f}") - 3)
    return f"{round(amount / digits) * digits:,.0f}"


def _terabytes(gigabytes: float) -> str:
    terabytes = gigabytes / 1000
    return f"{terabytes / 1000:.1f} PB" if terabytes >= 1000 else f"{terabytes:.0f} TB"


def written(page: str) -> str:
    """Return the page with both tables as they are now; raises ValueError if it lacks their marks."""
    for name, lines in ((COSTS, costs()), (REACH, reach())):
        begin, end = f"<!-- {name}: written by python -m benchmarks.costs --write -->", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"the page lacks the lines {begin} and {end}")
        page = f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}"
    return page


def main() -> int:
    """Print both tables, or write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/operating.md")
    if parser.parse_args().write:
        PAGE.write_text(written(PAGE.read_text()))
    else:
        sys.stdout.write("\n".join([*costs(), "", *reach()]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
