"""The names of projects: those that the operator gives, and those of the subjects of JWTs, which no other can equal."""

import hashlib
import unicodedata

from obscura.auth.limits import FREE_TIER_PROJECT

JWT_NAMESPACE = "jwt:"
_ISSUER_DIGITS = 16


def jwt_project(issuer: str, subject: str) -> str:
    """Return the project of a JWT's subject: its own in the namespace, for each issuer.

    The digits of the issuer's SHA-256 have one length, so that no issuer and subject make the name of others.
    """
    digits = hashlib.sha256(issuer.encode()).hexdigest()[:_ISSUER_DIGITS]
    return f"{JWT_NAMESPACE}{digits}:{subject}"


def is_reserved(project: str) -> bool:
    """Whether a name is in the namespace of JWTs or the free tier's, or reads like one that is."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", project).casefold()).strip()
    return folded.startswith(JWT_NAMESPACE) or folded == FREE_TIER_PROJECT


class ReservedProject(ValueError):
    """A project's name that no key and no claim may have; the message says why."""

    def __init__(self, project: str) -> None:
        super().__init__(
            f"The project name '{project[:100]}' is reserved: names that begin with '{JWT_NAMESPACE}' are those of "
            f"JWTs, and '{FREE_TIER_PROJECT}' is that of callers without a key. Choose another name."
        )
