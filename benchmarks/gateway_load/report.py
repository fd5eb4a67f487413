"""The figures as a table on the terminal; ``page`` writes the same as Markdown, ``--json`` for programs."""

from collections.abc import Callable, Sequence

from benchmarks.gateway_load.aims import AIMS
from benchmarks.gateway_load.measure import Figures
from benchmarks.gateway_load.requests import SCENARIOS, ScenarioName
from benchmarks.gateway_load.subjects import UPSTREAM, Subject

_LABEL, _CELL = 46, 18
UNSTEADY = 1.25


def table(figures: Sequence[Figures], subjects: Sequence[Subject], scenarios: Sequence[ScenarioName]) -> str:
    """Return a line per figure and a column per subject, and the aim and the best known peer's figure."""
    by_key = {(one.scenario, one.subject): one for one in figures}
    names = [subject.name for subject in subjects]
    lines = [_line("", [*names, "aim", "best peer then"])]
    for name in scenarios:
        title = SCENARIOS[name].title
        rows: list[tuple[str, str, Callable[[Figures], str]]] = [
            ("added", f"{title}: ms added, p50", _whole),
            ("cpu", "   CPU ms of the gateway, per request", _cpu),
            ("rate", f"{title}: requests/s, 16 in flight", _rate),
            ("work", "   sent upstream, per request", relayed),
        ]
        if name == "sse":
            rows.insert(1, ("first", f"{title}: ms added to the first byte", _first))
        for key, label, shown in rows:
            cells = [_cell(by_key.get((name, subject)), shown) for subject in names]
            lines.append(_line(label, [*cells, *_aim(f"{name} {key}")]))
    peaks = [peak_of(figures, name) for name in names]
    lines.append(
        _line("peak memory of the run, MB", [*(f"{peak:.0f}" if peak else "?" for peak in peaks), *_aim("memory")])
    )
    notes = [f"{subject.name}: {subject.version}" for subject in subjects if subject.version]
    errors = [f"{one.subject}, {one.scenario}: {one.error}" for one in figures if one.error]
    if any(one.spread > UNSTEADY for one in figures):
        notes.append("~: the rounds differ by more than a quarter, so the machine was not quiet; measure again")
    return "\n".join([*lines, "", *notes, *errors])


def peak_of(figures: Sequence[Figures], subject: str) -> float:
    """Return the highest peak of a subject's scenarios in MB, 0 if it is not known."""
    return max((one.peak_mb or 0 for one in figures if one.subject == subject), default=0)


def relayed(one: Figures) -> str:
    """Return what the upstream received for one request, and whether the gateway fetched the image."""
    size = f"{one.relayed_bytes / 1e6:.2f} MB" if one.relayed_bytes >= 10_000 else f"{one.relayed_bytes} B"
    return size + (", fetched" if one.images_fetched else "")


def _whole(one: Figures) -> str:
    return f"({one.whole_ms:.2f})" if one.subject == UPSTREAM else f"{one.added_ms:+.2f}"


def _cpu(one: Figures) -> str:
    return "?" if one.cpu_ms is None else f"{one.cpu_ms:.2f}"


def _rate(one: Figures) -> str:
    return f"{'~' if one.spread > UNSTEADY else ''}{one.requests_per_s:.1f}"


def _first(one: Figures) -> str:
    return f"({one.first_byte_ms:.2f})" if one.subject == UPSTREAM else f"{one.added_first_byte_ms:+.2f}"


def _cell(one: Figures | None, shown: Callable[[Figures], str]) -> str:
    if one is None:
        return "-"
    return "error" if one.error else shown(one)


def _aim(line: str) -> tuple[str, str]:
    aim = AIMS.get(line)
    return (aim.ours, aim.best_peer) if aim else ("", "")


def _line(label: str, cells: Sequence[str]) -> str:
    return (label.ljust(_LABEL) + "".join(cell.rjust(_CELL) for cell in cells)).rstrip()
