"""The engine: facts of a request in, a decision with the rule that fired out. Pure: no clock, no chance, no I/O.

The order of the rules: terms, images, quotas, external checks, redaction; then moderation, on the redacted texts; then
flagged categories and thresholds. The gateway's own moderation comes before all of them: no policy lets through what
it blocks. The floor of the organisation is a layer beside the policy, so that a policy can add to it only (ADR 90).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from obscura.policy.check_rules import check_failure, check_findings, external_findings
from obscura.policy.decision import Coverage, Decision, Evaluation, Finding, Layer, evaluation
from obscura.policy.document import ExternalCheck, PolicyDocument
from obscura.policy.escapes import unescaped
from obscura.policy.facts import CheckResult, ModerationResult, QuotaResult, RequestFacts, Scores
from obscura.policy.image_rules import check_images, refuses_host
from obscura.policy.moderation_rules import check_moderation
from obscura.policy.output import OutputScanner
from obscura.policy.redaction import RedactionRules, Redactor
from obscura.policy.secret_patterns import SECRET_KINDS
from obscura.policy.terms import ListMatcher, SearchedText


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A request after the rules that come before moderation.

    texts       what moderation and the model get, redacted, in the order of the facts' texts
    redactor    puts the values back in the answer
    findings    of the rules so far; a request whose decision does not reach the model needs no moderation
    """

    facts: RequestFacts
    texts: tuple[str, ...]
    redactor: Redactor
    findings: tuple[Finding, ...]
    skipped: tuple[tuple[str, str], ...]
    allowlist_hits: tuple[str, ...]

    @property
    def decision(self) -> Decision:
        """The most severe decision so far."""
        return max((found.decision for found in self.findings), key=lambda one: one.severity, default=Decision.ALLOW)


class CompiledLayer:
    """One document with its lists compiled."""

    def __init__(self, layer: Layer) -> None:
        """Compile; takes about 50 ms for 1,000 terms, and RE2's import at the first of the process."""
        rules = layer.document.rules
        self.layer = layer
        self.allowlist = ListMatcher(rules.allowlist, [regex for regex in rules.regexes if regex.kind == "allow"])
        self.denylist = ListMatcher(rules.denylist, [regex for regex in rules.regexes if regex.kind == "deny"])
        self.redacted = ListMatcher(rules.redact_terms, [regex for regex in rules.regexes if regex.kind == "redact"])
        self.pii = rules.pii if rules.redact_pii else ()
        self.active = tuple(f"{layer.name}.{rule}" for rule in active_rules(layer.document))
        self.reads_moderation = bool(rules.flagged_categories or rules.thresholds)

    def check_denylist(self, texts: Sequence[SearchedText]) -> Iterator[Finding]:
        """Yield what the denylist finds."""
        if self.denylist:
            hits = dict.fromkeys(name for text in texts for name in self.denylist.names(text))
            if hits:
                yield self.layer.found("denylist", f"entries hit: {len(hits)}", hits=tuple(hits))

    def check_allowlist(self, texts: Sequence[SearchedText], hits: list[str]) -> Iterator[Finding]:
        """Yield a finding if the allowlist is not hit, and add to ``hits`` the entries that are."""
        if self.allowlist:
            found = dict.fromkeys(name for text in texts for name in self.allowlist.names(text))
            hits += found
            if not found:
                yield self.layer.found("allowlist", "no entry of the allowlist is hit")

    def redactions(self, redactor: Redactor, texts: Sequence[SearchedText]) -> Iterator[Finding]:
        """Yield a finding for each rule of this layer that redacted something."""
        rules = self.layer.document.rules
        kinds = redactor.kinds
        for rule, wanted in (
            ("redact_pii", self.pii),
            ("redact_secrets", SECRET_KINDS if rules.redact_secrets else ()),
        ):
            found = {kind: count for kind, count in kinds.items() if kind in wanted}
            if found:
                yield self.layer.found(rule, _counted(found), action="redact")
        if "term" in kinds and any(self.redacted.names(text) for text in texts):
            yield self.layer.found("redact_terms", _counted({"term": kinds["term"]}), action="redact")


class CompiledPolicy:
    """A policy and the organisation's floor, ready to decide; immutable, and safe to use from several threads."""

    def __init__(self, document: PolicyDocument | None, floor: PolicyDocument | None = None) -> None:
        """Without ``document`` the floor alone holds."""
        layers = (("floor", floor), ("policy", document))
        self.layers = tuple(CompiledLayer(Layer(name, rules)) for name, rules in layers if rules is not None)
        self.document = document
        documents = [layer.layer.document for layer in self.layers]
        redacted = [one for layer in documents for one in layer.rules.redact_terms]
        regexes = [regex for layer in documents for regex in layer.rules.regexes if regex.kind == "redact"]
        self.redaction = RedactionRules(
            tuple(dict.fromkeys(kind for layer in self.layers for kind in layer.pii)),
            any(layer.rules.redact_secrets for layer in documents),
            ListMatcher(redacted, regexes),
        )
        self.active = tuple(name for layer in self.layers for name in layer.active)
        """The rules that are set, in the order in which they are applied; a policy of none decides without a search."""
        self._fully_run = ("gateway.moderation", *self.active)
        self._denylists = [(layer.layer, layer.denylist) for layer in self.layers if layer.denylist]
        self._moderated = [layer.layer for layer in self.layers if layer.reads_moderation]
        self.has_quotas = any(name.endswith("_quota") for name in self.active)
        self.scans_output = bool(self.redaction or self._denylists)
        """Whether a rule holds for the text of the answer."""
        self.moderates_output = any(
            bool(layer.rules.flagged_categories)
            or any(one.direction != "input" and one.modality != "image" for one in layer.rules.thresholds)
            for layer in documents
        )
        """Whether a rule holds for the moderation of the answer's text."""
        checks = dict.fromkeys(check for layer in documents for check in layer.checks)
        self.input_checks: tuple[ExternalCheck, ...] = tuple(one for one in checks if one.direction != "output")
        """The external checks that are asked about a request."""
        self.output_checks: tuple[ExternalCheck, ...] = tuple(one for one in checks if one.direction != "input")
        """The external checks that are asked about an answer."""

    def check_request(
        self, facts: RequestFacts, quotas: Sequence[QuotaResult] = (), checks: Sequence[CheckResult] | None = ()
    ) -> CheckedRequest:
        """Apply the rules that come before moderation. Over 100,000 characters of text this belongs in a thread.

        ``quotas`` are those that are used up; ``checks`` the results of the documents' external checks, None if they
        are asked later (``add_checks``).
        """
        if not self.active:
            return CheckedRequest(facts, facts.texts, Redactor(self.redaction), tuple(_listed(facts)), (), ())
        texts = [SearchedText(unescaped(text)) for text in facts.texts]
        findings: list[Finding] = list(_listed(facts))
        skipped: list[tuple[str, str]] = []
        allowlist_hits: list[str] = []
        for layer in self.layers:
            findings += layer.check_denylist(texts)
            findings += layer.check_allowlist(texts, allowlist_hits)
        for layer in self.layers:
            findings += check_images(layer.layer, facts, layer.denylist)
        for layer in self.layers:
            findings += _exhausted(layer.layer, quotas)
            findings += () if checks is None else external_findings(layer.layer, checks, skipped)
        redactor = Redactor(self.redaction, facts.texts)
        redacted = tuple(map(redactor.redacted, facts.texts, texts)) if self.redaction else facts.texts
        for layer in self.layers:
            findings += layer.redactions(redactor, texts)
        return CheckedRequest(facts, redacted, redactor, tuple(findings), tuple(skipped), tuple(allowlist_hits))

    def exhausted(self, quotas: Sequence[QuotaResult]) -> tuple[Finding, ...]:
        """Return the findings of quotas that are used up, for a request that another one was faster than."""
        return tuple(finding for layer in self.layers for finding in _exhausted(layer.layer, quotas))

    def add_checks(
        self, checked: CheckedRequest, results: Mapping[ExternalCheck, CheckResult], texts: tuple[str, ...]
    ) -> CheckedRequest:
        """Add the results of the external checks; ``texts`` are what they leave, redacted."""
        findings, skipped = list(checked.findings), list(checked.skipped)
        for layer in self.layers:
            own = [results[check] for check in layer.layer.document.checks if check in results]
            findings += external_findings(layer.layer, own, skipped)
        return replace(checked, texts=texts, findings=tuple(findings), skipped=tuple(skipped))

    def refuses_host(self, host: str) -> bool:
        """Whether no image may be fetched from a host."""
        return any(refuses_host(layer.layer, host) for layer in self.layers)

    def check_output(self, items: Sequence[Scores]) -> tuple[Finding, ...]:
        """Apply the rules about moderation to that of the answer."""
        result = ModerationResult(tuple(items))
        return tuple(found for layer in self.layers for found in check_moderation(layer.layer, result))

    def checked_output(self, results: Mapping[ExternalCheck, CheckResult]) -> tuple[Finding, ...]:
        """Return what the external checks of the answer find."""
        found: list[Finding] = []
        for layer in self.layers:
            for check in layer.layer.document.checks:
                if check in results:
                    found += check_findings(layer.layer, check, results[check])
        return tuple(found)

    def failed_output(self, results: Mapping[ExternalCheck, CheckResult]) -> tuple[tuple[str, str], ...]:
        """Return the external checks of the answer that had no result, by their rule, and what became of it."""
        named = ((layer, check) for layer in self.layers for check in layer.layer.document.checks if check in results)
        return tuple(
            (f"{layer.layer.name}.checks.{check.name}", failure)
            for layer, check in named
            if (failure := check_failure(check, results[check])) is not None
        )

    def decide(self, checked: CheckedRequest, moderation: ModerationResult) -> Evaluation:
        """Apply the rules about moderation and return the decision, the most severe of all findings."""
        findings: list[Finding] = []
        if moderation.blocked is not None:
            categories = (moderation.blocked,)
            findings.append(
                Finding(
                    "gateway.moderation", Decision.REFUSE, "MODERATION_BLOCKED", moderation.blocked, None, categories
                )
            )
        findings += checked.findings
        for layer in self._moderated:
            findings += check_moderation(layer, moderation)
        return evaluation(findings, self._coverage(checked, moderation), checked.allowlist_hits)

    def evaluate(
        self,
        facts: RequestFacts,
        moderation: ModerationResult,
        quotas: Sequence[QuotaResult] = (),
        checks: Sequence[CheckResult] = (),
    ) -> Evaluation:
        """Check and decide in one: for commands and dry runs, which have the moderation's result at hand."""
        return self.decide(self.check_request(facts, quotas, checks), moderation)

    def output_scanner(self) -> OutputScanner:
        """Return the scanner of one text of the answer."""
        return OutputScanner(self._denylists, self.redaction)

    def _coverage(self, checked: CheckedRequest, moderation: ModerationResult) -> Coverage:
        facts = checked.facts
        characters = sum(map(len, facts.texts))
        if not facts.images and not checked.skipped and moderation.skipped is None:
            return Coverage(0, 0, characters, characters, self._fully_run)
        skipped = list(checked.skipped)
        if moderation.skipped is not None:
            skipped.append(("moderation", moderation.skipped))
        left_out = {name for name, _ in skipped}
        run = [name for layer in self.layers for name in layer.active if name not in left_out]
        if moderation.skipped is None:
            run.insert(0, "gateway.moderation")
            images = sum(item.modality == "image" and item.direction == "input" for item in moderation.items)
        else:
            images = len(facts.images) if any(".images." in name for name in run) else 0
        return Coverage(
            min(images, len(facts.images)),
            len(facts.images),
            characters if any(not name.partition(".")[2].startswith("images.") for name in run) else 0,
            characters,
            tuple(run),
            tuple(skipped),
        )


def active_rules(document: PolicyDocument) -> list[str]:
    """Return the rules that a document sets, in the order in which they are applied."""
    rules, images, controls = document.rules, document.images, document.org_controls
    kinds = {regex.kind for regex in rules.regexes}
    active = [
        ("denylist", bool(rules.denylist) or "deny" in kinds),
        ("allowlist", bool(rules.allowlist) or "allow" in kinds),
        *(
            (f"images.{name}", getattr(images, name) != field.default)
            for name, field in type(images).model_fields.items()
            if name not in {"max_hash_distance", "redact"}
        ),
        ("user_quota", controls.user_quota is not None or bool(controls.user_quotas)),
        ("project_quota", controls.project_quota is not None),
        *((f"checks.{check.name}", True) for check in document.checks),
        ("redact_pii", rules.redact_pii),
        ("redact_secrets", rules.redact_secrets),
        ("redact_terms", bool(rules.redact_terms) or "redact" in kinds),
        ("flagged_categories", bool(rules.flagged_categories)),
        ("thresholds", bool(rules.thresholds)),
    ]
    return [name for name, is_set in active if is_set]


def may_use(document: PolicyDocument, project: str) -> bool:
    """Whether a project may name the policy (``org_controls.project_keys``)."""
    return not document.org_controls.project_keys or project in document.org_controls.project_keys


def _listed(facts: RequestFacts) -> Iterator[Finding]:
    """The operator's hash lists: as with moderation, no policy lets through what they block."""
    for image in facts.images:
        for match in image.list_matches:
            categories = (match.category,) if match.category else ()
            path = image.path or None
            yield Finding(
                "gateway.hash_lists", Decision.REFUSE, "HASH_MATCH", f"list {match.list_name}", path, categories
            )
            return


def _exhausted(layer: Layer, quotas: Sequence[QuotaResult]) -> Iterator[Finding]:
    controls = layer.document.org_controls
    for quota in quotas:
        per_user = controls.user_quota is not None or bool(controls.user_quotas)
        is_set = per_user if quota.rule == "user_quota" else controls.project_quota is not None
        if quota.layer == layer.name and is_set:
            yield layer.found(
                quota.rule, f"{quota.limit} {quota.limited} a {quota.window}", action="block", quota=quota
            )


def _counted(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())
