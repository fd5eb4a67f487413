"""Requests as a team writes them in files: samples to simulate, and cases with what is expected of them."""

import json
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from obscura.errors import InvalidRequest
from obscura.policy.document import Part
from obscura.policy.facts import HashMatch, ImageFacts, ModerationResult, QuotaResult, RequestFacts, Scores
from obscura.policy.parse import json_path

type Score = Annotated[float, Field(ge=0, le=1)]


class CaseImage(Part):
    """One image, by the facts that rules ask for. What is left out is unremarkable, not unknown."""

    source: Literal["data_url", "url", "file_id", "document"] = "data_url"
    host: str | None = None
    hosts: tuple[str, ...] = ()
    format: str = "jpeg"
    raw_bytes: Annotated[int, Field(ge=0)] = 100_000
    width_px: Annotated[int, Field(ge=1)] = 1_024
    height_px: Annotated[int, Field(ge=1)] = 768
    tokens: Annotated[int, Field(ge=0)] = 1_000
    animated: bool = False
    alpha: bool = False
    metadata: bool = False
    sha256: str | None = None
    pdq: str | None = None
    codes: tuple[str, ...] = ()
    hash_list: str | None = None
    """A hash list of the operator that the image matches."""

    def facts(self, number: int) -> ImageFacts:
        """Return the facts of the image that is the ``number``th of its request."""
        hosts = (*self.hosts, *((self.host,) if self.host else ()))
        own = self.model_dump(exclude={"host", "hosts", "hash_list", "source"})
        matches = (HashMatch(self.hash_list, 0),) if self.hash_list else ()
        source = "url" if hosts and self.source == "data_url" else self.source
        return ImageFacts(f"images[{number}]", source, hosts, list_matches=matches, **own)


class CaseModeration(Part):
    """What moderation says: scores by category, of the text and of each image in order."""

    text: dict[str, Score] = Field(default_factory=dict)
    images: tuple[dict[str, Score], ...] = ()
    output: dict[str, Score] = Field(default_factory=dict)
    flagged: tuple[str, ...] = ()
    """Categories that it flags, in text or image."""
    blocked: str | None = None
    """The category for which the gateway itself blocks."""

    def result(self) -> ModerationResult:
        """Return it as the engine reads it."""
        items = [Scores("text", scores=self.text, flagged=self.flagged)]
        items += [Scores("image", scores=scores, path=f"images[{number}]") for number, scores in enumerate(self.images)]
        if self.output:
            items.append(Scores("text", "output", self.output))
        return ModerationResult(tuple(items), self.blocked)


class Expectation(Part):
    """What must come out; what is left out may be anything."""

    decision: Literal["allow", "flag", "redact", "rewrite", "summary", "escalate", "refuse"] | None = None
    reason_code: str | None = None
    rule: str | None = None
    """With or without the layer: `policy.denylist` or `denylist`."""
    texts: tuple[str, ...] | None = None
    """The texts that the model gets."""
    output: str | None = None
    """The answer that the caller gets."""

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expect has decision, reason_code, rule, texts or output")
        return self


class Case(Part):
    """One request."""

    name: str = ""
    text: str | None = None
    texts: tuple[str, ...] = ()
    images: tuple[CaseImage, ...] = ()
    moderation: CaseModeration = CaseModeration()
    user: str | None = None
    project: str = ""
    target: str | None = None
    model: str = ""
    zero_retention: bool = False
    used_up: tuple[Literal["user_quota", "project_quota"], ...] = ()
    """Quotas of the policy that are used up."""
    output: str | None = None
    """The model's answer, in which placeholders stand."""
    expect: Expectation | None = None

    def facts(self) -> RequestFacts:
        """Return the facts of the request."""
        texts = (*((self.text,) if self.text is not None else ()), *self.texts)
        images = tuple(image.facts(number) for number, image in enumerate(self.images))
        return RequestFacts(texts, images, self.model, self.project, self.user, self.target, self.zero_retention)

    def quotas(self) -> list[QuotaResult]:
        """Return the quotas that are used up."""
        return [QuotaResult(rule, "requests", 0, "day", 60) for rule in self.used_up]


def parse_cases(value: object, path: str = "cases") -> list[Case]:
    """Read cases: a list, an object with ``cases``, or a single case.

    Raises InvalidRequest with the path, which begins with ``path``.
    """
    if isinstance(value, dict):
        value = value["cases"] if set(value) == {"cases"} else [value]
    if not isinstance(value, list):
        raise InvalidRequest("Cases are a list of objects, or an object with a list 'cases'.")
    return [_case(entry, path, number) for number, entry in enumerate(value)]


def _case(entry: object, name: str, number: int) -> Case:
    try:
        return Case.model_validate_json(json.dumps(entry))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        path = json_path([name, number, *fault["loc"]])
        raise InvalidRequest(f"'{path}': {fault['msg'].removeprefix('Value error, ')}.", param=path) from None
