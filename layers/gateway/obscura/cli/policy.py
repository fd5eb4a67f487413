"""``obscura policy``: policies in files.

Exit status: 0 is good, 1 is what CI must stop for, 2 a file that cannot be read.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from obscura.cli.console import print_error
from obscura.cli.policy_events import verify_events
from obscura.errors import InvalidRequest
from obscura.policy.cases import Case, parse_cases
from obscura.policy.document import PolicyDocument
from obscura.policy.engine import CompiledPolicy
from obscura.policy.parse import (
    content_hash,
    document_schema,
    parse_document,
    parse_floor,
    parse_json,
    parse_yaml,
    stored_form,
)
from obscura.policy.trial import Trial, try_case

app = typer.Typer(help="Validate, explain, simulate, compare, test and replay policies in files.", no_args_is_help=True)
app.command("verify-events")(verify_events)

DIFFERS = INVALID = FAILED = 1
UNREADABLE = 2

PolicyArgument = Annotated[Path, typer.Argument(metavar="POLICY", help="A policy document, JSON or YAML.")]
FloorOption = Annotated[Path | None, typer.Option(help="The organisation's floor, a document of its own.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def validate(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="POLICY…", help="Policy documents.")] = None,
    stored: Annotated[bool, typer.Option(help="Print each document in its stored form.")] = False,
    schema: Annotated[bool, typer.Option(help="Print the JSON Schema of policy documents, and nothing else.")] = False,
) -> None:
    """Check documents; exit with status 1 if one is not valid."""
    if schema:
        typer.echo(json.dumps(document_schema(), indent=2, ensure_ascii=False))
        return
    if not paths:
        print_error("Name a policy document, or ask for --schema.")
        raise typer.Exit(UNREADABLE)
    failed = False
    for path in paths:
        value = _read(path)
        try:
            document = parse_document(value)
        except InvalidRequest as error:
            failed = True
            print_error(f"{path}: {error.message}")
            continue
        if stored:
            typer.echo(json.dumps(stored_form(document), indent=2, ensure_ascii=False))
        else:
            typer.echo(f"{path}: {document.policy_id} is valid (sha256 {content_hash(document)[:16]})")
    if failed:
        raise typer.Exit(INVALID)


@app.command()
def explain(
    path: PolicyArgument,
    request: Annotated[Path | None, typer.Option(help="A request in a file, as in `obscura policy test`.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="A text of the request, several times.")] = None,
    floor: FloorOption = None,
) -> None:
    """Print, step by step, how a request is decided."""
    policy = _compiled(path, floor)
    with _valid(request):
        cases = parse_cases(_read(request)) if request is not None else [Case(texts=tuple(text or ()))]
    for case in cases:
        for line in explanation(try_case(policy, case)):
            typer.echo(line)


def explanation(trial: Trial) -> Iterator[str]:
    """Yield the steps of a decision: each rule that is set, in order, and what it found."""
    by_rule: dict[str, list[str]] = {}
    for found in trial.evaluation.findings:
        layer, _, rule = found.rule.partition(".")
        known = f"{layer}.checks.{found.detail.partition(':')[0]}" if rule == "checks" else found.rule
        where = f" at {found.param}" if found.param else ""
        hits = f" [{', '.join(found.hits)}]" if found.hits else ""
        by_rule.setdefault(known, []).append(f"{found.decision} ({found.reason_code}) {found.detail}{hits}{where}")
    coverage = trial.evaluation.coverage
    skipped = dict(coverage.skipped)
    if trial.case.name:
        yield f"# {trial.case.name}"
    steps = dict.fromkeys([*coverage.run, *skipped, *by_rule])
    width = max(map(len, [*steps, "decision"]))
    for number, rule in enumerate(steps, 1):
        outcome = "; ".join(by_rule.get(rule, [f"skipped: {skipped[rule]}" if rule in skipped else "passes"]))
        yield f"{number:3}  {rule:{width}}  {outcome}"
    decided = trial.evaluation
    rule = f" by {decided.rule}" if decided.rule else ""
    yield f"     {'decision':{width}}  {decided.decision} ({decided.reason_code}){rule}"
    yield (
        f"     {'coverage':{width}}  images {coverage.images}/{coverage.images_total}, "
        f"text {coverage.text_characters}/{coverage.text_characters_total} characters"
    )
    if trial.checked.texts != trial.checked.facts.texts and decided.decision.reaches_model:
        for one in trial.checked.texts:
            yield f"     {'to the model':{width}}  {one}"
    if trial.output is not None:
        yield f"     {'to the caller':{width}}  {trial.output}"


@app.command()
def simulate(
    path: PolicyArgument,
    samples: Annotated[Path, typer.Argument(metavar="SAMPLES", help="Requests: JSON, JSON lines or YAML.")],
    floor: FloorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide on sample requests as if the policy were enforced, and count the decisions."""
    policy = _compiled(path, floor)
    with _valid(samples):
        cases = parse_cases(_read(samples))
    decisions: Counter[str] = Counter()
    for number, case in enumerate(cases, 1):
        decided = try_case(policy, case).evaluation
        decisions[decided.decision.value] += 1
        name = case.name or f"sample {number}"
        if as_json:
            shown = {
                "name": name,
                "decision": decided.decision,
                "reason_code": decided.reason_code,
                "rule": decided.rule,
            }
            typer.echo(json.dumps(shown, ensure_ascii=False))
        else:
            typer.echo(f"{decided.decision:9} {decided.reason_code:24} {decided.rule or '-':32} {name}")
    if not as_json:
        typer.echo(f"{len(cases)} requests: {_counts(decisions)}")


@app.command()
def diff(old: PolicyArgument, new: PolicyArgument, as_json: JsonOption = False) -> None:
    """Print what differs between two documents, by path; exit with status 1 if anything does."""
    from obscura.policy.versions import diff as changes_between

    changes = changes_between(_document(old), _document(new))
    for change in changes:
        if as_json:
            typer.echo(json.dumps(change.as_json(), ensure_ascii=False))
            continue
        if change.kind != "added":
            typer.echo(f"- {change.path}: {json.dumps(change.old, ensure_ascii=False)}")
        if change.kind != "removed":
            typer.echo(f"+ {change.path}: {json.dumps(change.new, ensure_ascii=False)}")
    if changes:
        raise typer.Exit(DIFFERS)


@app.command()
def test(
    path: PolicyArgument,
    cases_path: Annotated[Path, typer.Argument(metavar="CASES", help="Requests, each with what is expected of it.")],
    floor: FloorOption = None,
) -> None:
    """Run cases against a policy; exit with status 1 if one comes out otherwise."""
    policy = _compiled(path, floor)
    with _valid(cases_path):
        cases = parse_cases(_read(cases_path))
    if not any(case.expect for case in cases):
        print_error(f"{cases_path}: no case says what it expects.")
        raise typer.Exit(UNREADABLE)
    failed = 0
    for number, case in enumerate(cases, 1):
        failures = list(try_case(policy, case).failures())
        failed += bool(failures)
        typer.echo(f"{'FAIL' if failures else 'ok  '} {case.name or f'case {number}'}")
        for failure in failures:
            typer.echo(f"     {failure}")
    typer.echo(f"{len(cases) - failed} of {len(cases)} cases pass")
    if failed:
        raise typer.Exit(FAILED)


@app.command()
def replay(
    path: PolicyArgument,
    events: Annotated[Path, typer.Argument(metavar="EVENTS", help="Recorded events, JSON lines.")],
    recorded_by: Annotated[Path | None, typer.Option(help="The document that they were recorded by.")] = None,
    floor: FloorOption = None,
    fail_on_change: Annotated[bool, typer.Option(help="Exit with status 1 if a decision changes.")] = False,
) -> None:
    """Decide on recorded events by another document, and print what would change."""
    from obscura.policy.events import read_event
    from obscura.policy.replay import replay as decide_again

    document, known = _document(path), _document(recorded_by) if recorded_by else None
    floor_document = _floor(floor)
    changes: Counter[str] = Counter()
    total = uncounted = 0
    unknown: Counter[str] = Counter()
    for number, line in enumerate(_text(events).splitlines(), 1):
        if not line.strip():
            continue
        try:
            recorded = read_event(line.encode())
        except (ValueError, TypeError) as error:
            print_error(f"{events}:{number} is no event: {error}")
            raise typer.Exit(UNREADABLE) from None
        if not recorded.reported:
            uncounted += 1
            continue
        total += 1
        replayed = decide_again(recorded, document, floor_document, known)
        unknown.update(replayed.unknown)
        if replayed.changes:
            after = replayed.after
            changes[f"{replayed.before} -> {after.decision}"] += 1
            typer.echo(
                f"{replayed.event_id}  {replayed.before} -> {after.decision} ({after.reason_code}) {after.rule or '-'}"
            )
    typer.echo(f"{total} events: {changes.total()} decisions change{': ' if changes else ''}{_counts(changes)}")
    if uncounted:
        typer.echo(f"{uncounted} events of zero-retention callers, or without features, are only counted")
    for rule, count in unknown.items():
        typer.echo(f"{rule}: in {count} events the record does not say all that this rule asks for")
    if fail_on_change and changes:
        raise typer.Exit(DIFFERS)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def _compiled(path: Path, floor: Path | None) -> CompiledPolicy:
    return CompiledPolicy(_document(path), _floor(floor))


def _document(path: Path) -> PolicyDocument:
    with _valid(path):
        return parse_document(_read(path))


def _floor(path: Path | None) -> PolicyDocument | None:
    if path is None:
        return None
    with _valid(path):
        return parse_floor(_read(path))


@contextmanager
def _valid(path: Path | None) -> Iterator[None]:
    """Report what is not valid in a file, and exit with status 1."""
    try:
        yield
    except InvalidRequest as error:
        print_error(f"{path}: {error.message}")
        raise typer.Exit(INVALID) from None


def _read(path: Path) -> Any:
    """Return the plain values of a JSON, JSON lines or YAML file; exit with status 2 if it is none."""
    text = _text(path)
    try:
        if path.suffix in {".yaml", ".yml"}:
            return parse_yaml(text)
        if path.suffix == ".jsonl":
            return [parse_json(line.encode()) for line in text.splitlines() if line.strip()]
        return parse_json(text.encode())
    except InvalidRequest as error:
        print_error(f"{path}: {error.message}")
        raise typer.Exit(INVALID) from None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        print_error(f"{path} cannot be read: {reason}.")
        raise typer.Exit(UNREADABLE) from None
