"""Other spellings of a policy document, rewritten into the one that is stored.

Policy gateways write rollouts, redaction and actions in three ways. Each is accepted; two that contradict each other
are an error at the second.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from obscura.errors import InvalidRequest
from obscura.policy.document_types import RULE_NAMES

type Json = dict[str, Any]

_ACTIONS = {"refuse": "block", "deny": "block", "summary": "summarize", "escalation": "escalate"}
_WINDOWS = {"daily": "day", "weekly": "week", "monthly": "month"}
_PII = {"credit_cards": "credit_card", "card": "credit_card", "emails": "email", "e-mail": "email", "phones": "phone"}
_PII_KINDS = ("email", "phone", "credit_card", "iban", "ssn")
_FORMATS = {"jpg": "jpeg", "tif": "tiff", "heif": "heic"}


@dataclass(slots=True)
class Rewriter:
    """A document on its way into the stored form, and where the caller wrote what has moved."""

    document: Json
    moved: dict[str, str] = field(default_factory=dict)

    def written_at(self, path: str) -> str:
        """Return the path at which the caller wrote what is at ``path`` of the stored form."""
        for new in sorted(self.moved, key=len, reverse=True):
            if path == new or path.startswith((f"{new}.", f"{new}[")):
                return self.moved[new] + path[len(new) :]
        return path

    def part(self, *keys: str) -> Json | None:
        """Return the object at ``keys``, or None if there is none; made if ``document`` has nothing there."""
        holder: Json = self.document
        for key in keys:
            below = holder.setdefault(key, {})
            if not isinstance(below, dict):
                return None
            holder = below
        return holder

    def move(self, source: Json, key: str, source_path: str, target: str) -> None:
        """Move ``source[key]`` to the dotted path ``target``, where nothing else may be."""
        *parents, name = target.split(".")
        holder = self.part(*parents)
        value = source.pop(key)
        if holder is None:
            return
        if name in holder and holder[name] != value:
            raise InvalidRequest(
                f"'{source_path}' and '{target}' contradict each other. Leave one out.", param=source_path
            )
        holder[name] = value
        self.moved[target] = source_path


def to_stored_form(document: Json) -> Rewriter:
    """Rewrite a document, a mutable copy of what was sent; raises InvalidRequest where spellings contradict."""
    rewriter = Rewriter(document)
    _unwrap_config(rewriter)
    _move_old_places(rewriter)
    _rewrite_rules(rewriter)
    _rewrite_images(document)
    _rewrite_quotas(document)
    _rewrite_rollout(rewriter)
    return rewriter


def _unwrap_config(rewriter: Rewriter) -> None:
    """``{config: {…}}``, alone or beside name and description."""
    document = rewriter.document
    config = document.get("config")
    if not isinstance(config, dict):
        return
    del document["config"]
    for key in list(config):
        path = f"config.{key}"
        rewriter.move(config, key, path, key)


_OLD_PLACES = {
    ("classification",): "org_controls.data_classification",
    ("data_classification",): "org_controls.data_classification",
    ("rules", "escalation_path"): "refusal_replacement.escalation_path",
    ("rules", "images"): "images",
    ("rules", "category_thresholds"): "rules.thresholds",
}


def _move_old_places(rewriter: Rewriter) -> None:
    for (*parents, name), target in _OLD_PLACES.items():
        holder: Any = rewriter.document
        for key in parents:
            holder = holder.get(key) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and name in holder:
            path = ".".join([*parents, name])
            rewriter.move(holder, name, rewriter.written_at(path), target)


def _rewrite_rules(rewriter: Rewriter) -> None:
    rules = rewriter.document.get("rules")
    replacement = rewriter.document.get("refusal_replacement")
    for holder, key in ((rules, "enforcement_action"), (replacement, "mode")):
        _replace_word(holder, key, _ACTIONS)
    if not isinstance(rules, dict):
        return
    if "redact" in rules:
        _rewrite_redact(rewriter, rules)
    if isinstance(rewrite := rules.get("rewrite_instead_of_refuse"), bool):
        path = rewriter.written_at("rules.rewrite_instead_of_refuse")
        del rules["rewrite_instead_of_refuse"]
        action = rules.setdefault("enforcement_action", "rewrite" if rewrite else "block")
        if rewrite and action != "rewrite":
            raise InvalidRequest(f"'{path}' contradicts an enforcement_action of {action}. Leave one out.", param=path)
    _replace_words(rules, "pii", _PII)
    _replace_words(rules, "flagged_categories", {})
    for key in ("actions", "reason_codes"):
        if isinstance(named := rules.get(key), dict):
            rules[key] = {_rule_name(name): value for name, value in named.items()}
    if isinstance(actions := rules.get("actions"), dict):
        for name in actions:
            _replace_word(actions, name, _ACTIONS)
    if isinstance(thresholds := rules.get("thresholds"), dict):
        rules["thresholds"] = _threshold_list(thresholds)


def _rewrite_redact(rewriter: Rewriter, rules: Json) -> None:
    """``redact: true``, or a list of kinds of PII, ``secrets``, and terms."""
    value = rules["redact"]
    path = rewriter.written_at("rules.redact")
    if isinstance(value, bool):
        rewriter.move(rules, "redact", path, "rules.redact_pii")
        return
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidRequest(f"'{path}' must be true, false, or a list of kinds and terms.", param=path)
    del rules["redact"]
    kinds = [_PII.get(entry.lower(), entry.lower()) for entry in value]
    pii = [kind for kind in kinds if kind in _PII_KINDS]
    if "pii" in kinds or pii:
        rules["redact_pii"] = True
    if pii and "pii" not in kinds:
        rules.setdefault("pii", pii)
    if "secrets" in kinds:
        rules["redact_secrets"] = True
    terms = [
        entry
        for entry, kind in zip(value, kinds, strict=True)
        if kind not in _PII_KINDS and kind not in {"pii", "secrets"}
    ]
    if terms:
        rules["redact_terms"] = [*rules.get("redact_terms", []), *terms]
        rewriter.moved["rules.redact_terms"] = path


def _rule_name(name: str) -> str:
    bare = name.removeprefix("rules.")
    if f"images.{bare}" in RULE_NAMES:
        return f"images.{bare}"
    return {"redact": "redact_pii", "category_thresholds": "thresholds", "regexes": "denylist"}.get(bare, bare)


def _threshold_list(by_category: Json) -> list[Any]:
    """``{category: 0.5}``, ``{category: {image: 0.5}}`` or ``{category: {image: {input: 0.5}}}``; keys in any order."""
    flat: list[Any] = []

    def add(entry: Json, value: Any) -> None:
        if not isinstance(value, dict):
            flat.append({**entry, "score": value})
        elif "score" in value:
            flat.append({**entry, **value})
        else:
            for key, below in value.items():
                axis = "modality" if key in {"text", "image"} else "direction" if key in {"input", "output"} else key
                add({**entry, axis: key}, below)

    for category, value in by_category.items():
        add({"category": category}, value)
    return flat


def _rewrite_images(document: Json) -> None:
    images = document.get("images")
    if not isinstance(images, dict):
        return
    formats = images.get("allowed_formats")
    if isinstance(formats, list):
        images["allowed_formats"] = [
            _FORMATS.get(bare := entry.lower().removeprefix("image/"), bare) if isinstance(entry, str) else entry
            for entry in formats
        ]
    if isinstance(images.get("qr"), bool):
        images["qr"] = "check" if images["qr"] else "ignore"
    if "redact" in images and (images["redact"] is False or images["redact"] is None):
        del images["redact"]


def _rewrite_quotas(document: Json) -> None:
    controls = document.get("org_controls")
    if not isinstance(controls, dict):
        return
    users = controls.get("user_quotas")
    if isinstance(users, dict):
        # A number alone is one of requests a day.
        users = {user: {"requests": quota} if type(quota) is int else quota for user, quota in users.items()}
        controls["user_quotas"] = users
    quotas = [
        controls.get("user_quota"),
        controls.get("project_quota"),
        *(users.values() if isinstance(users, dict) else ()),
    ]
    for quota in quotas:
        for one in quota if isinstance(quota, list) else [quota]:
            _replace_word(one, "window", _WINDOWS)


def _rewrite_rollout(rewriter: Rewriter) -> None:
    if isinstance(deployment := rewriter.document.get("deployment"), dict):
        _rewrite_deployment(rewriter, deployment)
    rollout = rewriter.document.get("rollout")
    for key in ("shadow", "canary"):
        sample = rollout.get(key) if isinstance(rollout, dict) else None
        if not isinstance(sample, dict):
            continue
        for old in ("percentage", "percent"):
            if old in sample:
                path = rewriter.written_at(f"rollout.{key}.{old}")
                rewriter.move(sample, old, path, f"rollout.{key}.sample_percent")
        if "sample_percent" in sample:
            # A share without a switch means that it is on.
            sample.setdefault("enabled", True)


def _rewrite_deployment(rewriter: Rewriter, deployment: Json) -> None:
    """``deployment {enabled, percentage, auto_rollback}``: off is a shadow, below 100 a canary, 100 enforced."""
    del rewriter.document["deployment"]
    prefix = rewriter.written_at("deployment")
    rollout = rewriter.part("rollout")
    if rollout is None:
        return
    enabled, percentage = deployment.pop("enabled", True), deployment.pop("percentage", 100)
    if not isinstance(enabled, bool):
        raise InvalidRequest(f"'{prefix}.enabled' must be true or false.", param=f"{prefix}.enabled")
    if isinstance(percentage, bool) or not isinstance(percentage, int | float) or not 0 <= percentage <= 100:
        raise InvalidRequest(f"'{prefix}.percentage' must be a number from 0 to 100.", param=f"{prefix}.percentage")
    if not enabled:
        rollout.setdefault("shadow", {"enabled": True, "sample_percent": 100})
    elif percentage < 100:
        rollout.setdefault("canary", {"enabled": True, "sample_percent": percentage})
    automatic = deployment.pop("auto_rollback", {})
    path = f"{prefix}.auto_rollback"
    if not isinstance(automatic, dict):
        raise InvalidRequest(f"'{path}' must be an object.", param=path)
    names = {
        "enabled": "rollback_on_spike",
        "min_requests": "rollback_min_requests",
        "window_minutes": "rollback_window_minutes",
        "cooldown_minutes": "rollback_cooldown_minutes",
        "rollback_decisions": "rollback_decisions",
        "rollback_threshold": "rollback_threshold",
    }
    if "threshold_pct" in automatic:
        percent = automatic.pop("threshold_pct")
        if isinstance(percent, bool) or not isinstance(percent, int | float):
            raise InvalidRequest(f"'{path}.threshold_pct' must be a number.", param=f"{path}.threshold_pct")
        automatic["rollback_threshold"] = percent / 100
    for key in [key for key in automatic if key in names]:
        rewriter.move(automatic, key, f"{path}.{key}", f"rollout.{names[key]}")
    for rest, where in ((automatic, path), (deployment, prefix)):
        for key in rest:
            raise InvalidRequest(f"'{where}.{key}' is not known.", param=f"{where}.{key}")


def _replace_word(holder: Any, key: str, words: dict[str, str]) -> None:
    if isinstance(holder, dict) and isinstance(word := holder.get(key), str):
        holder[key] = words.get(word.lower(), word.lower())


def _replace_words(holder: Json, key: str, words: dict[str, str]) -> None:
    if isinstance(entries := holder.get(key), list):
        holder[key] = [
            words.get(entry.lower(), entry.lower()) if isinstance(entry, str) else entry for entry in entries
        ]


def slug(name: str) -> str:
    """Return a policy id for a document that has only a name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64]
