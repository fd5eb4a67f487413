"""The policy document: frozen, strict models with the names that users of policy gateways know."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from obscura.policy.document_types import (
    CategoryName,
    CheckUrl,
    Code,
    Hash,
    HostPattern,
    ImageFormat,
    Percent,
    PolicyId,
    RuleName,
    Term,
    unique,
)

MAX_TERMS = 10_000
MAX_REGEXES = 200
MAX_HASHES = 10_000
MAX_QUOTA_USERS = 10_000

type EnforcementAction = Literal["block", "rewrite", "summarize", "escalate"]
type RuleAction = Literal["flag", "rewrite", "summarize", "escalate", "block"]
type PiiKind = Literal["email", "phone", "credit_card", "iban", "ssn"]
type Modality = Literal["text", "image", "any"]
type Direction = Literal["input", "output", "any"]

ALL_PII: tuple[PiiKind, ...] = ("email", "phone", "credit_card", "iban", "ssn")

type Label = Annotated[str, StringConstraints(max_length=200)]
type Prose = Annotated[str, StringConstraints(max_length=4_000)]


class Part(BaseModel):
    """A part of the document: unknown keys and values of another type are errors, and nothing changes it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Regex(Part):
    """A regular expression of RE2's syntax: linear in the text, without lookaround and back-references."""

    regex: Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
    kind: Literal["deny", "allow", "redact"] = "deny"
    """`deny` and `allow` are further entries of these lists; `redact` replaces what it matches."""
    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] | None = None
    """What hits are called in answers and events; without it, the expression itself."""

    @property
    def name(self) -> str:
        """What its hits are called."""
        return self.id or f"regex:{self.regex}"


class Threshold(Part):
    """A moderation score from which on a rule fires, by category, modality and direction."""

    category: CategoryName
    """`violence` holds for `violence/graphic` too, `*` for every category."""
    score: Annotated[float, Field(ge=0, le=1)]
    modality: Modality = "any"
    direction: Direction = "any"
    action: RuleAction | None = None
    """In place of `enforcement_action`."""


class Rules(Part):
    """Rules about text and moderation."""

    allowlist: Annotated[tuple[Term, ...], AfterValidator(unique), Field(max_length=MAX_TERMS)] = ()
    """If there is any entry, the text of a request must hit one, or else the action is taken."""
    denylist: Annotated[tuple[Term, ...], AfterValidator(unique), Field(max_length=MAX_TERMS)] = ()
    """Whole words; `term*`, `*term` and `*term*` match inside words."""
    regexes: Annotated[tuple[Regex, ...], Field(max_length=MAX_REGEXES)] = ()
    flagged_categories: Annotated[tuple[CategoryName, ...], AfterValidator(unique), Field(max_length=100)] = ()
    """Moderation categories; `violence` holds for `violence/graphic` too."""
    thresholds: Annotated[tuple[Threshold, ...], Field(max_length=500)] = ()
    redact_pii: bool = False
    pii: Annotated[tuple[PiiKind, ...], AfterValidator(unique)] = ALL_PII
    """The kinds that `redact_pii` looks for."""
    redact_secrets: bool = False
    """Keys of clouds and code hosts, JWTs, private keys."""
    redact_terms: Annotated[tuple[Term, ...], AfterValidator(unique), Field(max_length=MAX_TERMS)] = ()
    enforcement_action: EnforcementAction = "block"
    actions: dict[RuleName, RuleAction] = {}
    """The action of single rules, in place of `enforcement_action`. What is redacted is so whatever the action."""
    reason_codes: dict[RuleName, Code] = {}
    """The reason code of single rules, in place of the built-in ones."""
    response_pattern: Prose | None = None
    """The answer in place of a rewritten one; `{reason_code}`, `{policy_id}` and `{categories}` are filled in."""

    @model_validator(mode="after")
    def _regexes_have_names_of_their_own(self) -> Self:
        names = [regex.name for regex in self.regexes]
        if len(set(names)) < len(names):
            raise ValueError("two regexes have the same id, or are the same")
        return self

    @field_validator("actions")
    @classmethod
    def _redaction_is_no_flag(cls, actions: dict[str, RuleAction]) -> dict[str, RuleAction]:
        for rule, action in actions.items():
            if rule.startswith("redact_") and action == "flag":
                raise ValueError(f"{rule} redacts, which is more than a flag; it can be made stricter only")
        return actions


class Images(Part):
    """Rules about the images of a request, on facts that the gateway knows before moderation."""

    max_count: Annotated[int, Field(ge=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens of each image, after preparation."""
    max_total_tokens: Annotated[int, Field(ge=1)] | None = None
    max_bytes: Annotated[int, Field(ge=1)] | None = None
    """Bytes of each image as it was sent."""
    min_side_px: Annotated[int, Field(ge=1)] | None = None
    """The shorter side, as it was sent."""
    max_side_px: Annotated[int, Field(ge=1)] | None = None
    """The longer side, as it was sent."""
    allowed_formats: Annotated[tuple[ImageFormat, ...], AfterValidator(unique)] | None = None
    """By the bytes, not by the declared type."""
    allowed_hosts: Annotated[tuple[HostPattern, ...], AfterValidator(unique), Field(max_length=1_000)] | None = None
    """Every hop of a fetch must be at one of these; `*.example.com` holds for all below it."""
    denied_hosts: Annotated[tuple[HostPattern, ...], AfterValidator(unique), Field(max_length=1_000)] = ()
    """No hop of a fetch may be at one of these, or below."""
    require_file_id: bool = False
    refuse_data_urls: bool = False
    require_zero_retention: bool = False
    """Only requests with images that are zero-retention pass."""
    refuse_animated: bool = False
    refuse_alpha: bool = False
    refuse_metadata: bool = False
    """EXIF, XMP, comments: what preparation would strip."""
    blocked_hashes: Annotated[tuple[Hash, ...], AfterValidator(unique), Field(max_length=MAX_HASHES)] = ()
    """`sha256:…` or `pdq:…`, or 64 hex digits that are compared as both."""
    allowed_hashes: Annotated[tuple[Hash, ...], AfterValidator(unique), Field(max_length=MAX_HASHES)] | None = None
    """Only these images pass."""
    max_hash_distance: Annotated[int, Field(ge=0, le=31)] = 31
    """Bits of 256 in which a PDQ hash may differ."""
    qr: Literal["ignore", "check", "refuse"] = "ignore"
    """`check`: URLs in codes by the host rules, their text by the denylist; `refuse`: no codes at all."""
    redact: Annotated[tuple[Literal["faces", "text"], ...], AfterValidator(unique)] = ()
    """Only where the deployment has a detector of it."""


class Quota(Part):
    """Requests and tokens in a calendar window, UTC."""

    requests: Annotated[int, Field(ge=0)] | None = None
    tokens: Annotated[int, Field(ge=0)] | None = None
    """Of prompt and completion, as the upstream counts them."""
    window: Literal["day", "week", "month"] = "day"

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.requests is None and self.tokens is None:
            raise ValueError("a quota has requests, tokens, or both")
        return self


type Quotas = Quota | Annotated[tuple[Quota, ...], Field(max_length=6)]


class OrgControls(Part):
    """Who may use the policy, and how much."""

    project_keys: Annotated[tuple[Label, ...], AfterValidator(unique), Field(max_length=1_000)] = ()
    """The projects that may name the policy; all, if there is none."""
    user_quota: Quotas | None = None
    """Of each user; or a list, such as one of a day and one of a month."""
    user_quotas: Annotated[dict[Label, Quotas], Field(max_length=MAX_QUOTA_USERS)] = {}
    """Of single users, in place of `user_quota`."""
    project_quota: Quotas | None = None
    audit_logs: bool = True
    """False: decisions by this policy make no event, and are only counted; an organisation's floor keeps them."""
    data_classification: Label | None = None


class Sample(Part):
    """A share of the requests."""

    enabled: bool = False
    sample_percent: Percent = 100.0
    targets: Annotated[tuple[Label, ...], AfterValidator(unique), Field(max_length=100)] = ()
    """The `policy_target`s that it holds for; all, if there is none."""


class Rollout(Part):
    """How a version goes live."""

    shadow: Sample = Sample()
    canary: Sample = Sample()
    rollback_on_spike: bool = False
    rollback_threshold: Annotated[float, Field(gt=0, le=1)] = 0.25
    """The share of requests with one of `rollback_decisions` from which on the former version holds again."""
    rollback_min_requests: Annotated[int, Field(ge=1)] = 20
    rollback_window_minutes: Annotated[int, Field(ge=1, le=1_440)] = 15
    rollback_cooldown_minutes: Annotated[int, Field(ge=1, le=10_080)] = 30
    rollback_decisions: Annotated[
        tuple[Literal["flag", "redact", "rewrite", "summary", "escalate", "refuse"], ...], Field(min_length=1)
    ] = ("refuse", "escalate")


class RefusalReplacement(Part):
    """What a caller gets in place of a refusal."""

    mode: EnforcementAction | None = None
    """Taken where the action of a rule is `block`."""
    message: Prose | None = None
    escalation_path: Label | None = None


class ExternalCheck(Part):
    """A guardrail service that is asked beside moderation (the generic guardrail contract)."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    url: CheckUrl
    timeout_ms: Annotated[int, Field(ge=10, le=30_000)] = 2_000
    on_failure: Literal["closed", "open"] = "closed"
    direction: Direction = "input"


class PolicyDocument(Part):
    """One version of a policy."""

    policy_id: PolicyId
    name: Label = ""
    owner: Label | None = None
    description: Prose | None = None
    draft: bool = False
    """A draft is stored and numbered, and not live."""
    rules: Rules = Rules()
    images: Images = Images()
    checks: Annotated[tuple[ExternalCheck, ...], Field(max_length=8)] = ()
    org_controls: OrgControls = OrgControls()
    rollout: Rollout = Rollout()
    refusal_replacement: RefusalReplacement = RefusalReplacement()
