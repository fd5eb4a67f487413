"""The security-critical modules, each with the tests that must notice a change in it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_EQUIVALENT = Path(__file__).with_name("equivalent.toml")
_GATEWAY, _IMAGING = ROOT / "layers/gateway", ROOT / "layers/imaging"


@dataclass(frozen=True, slots=True)
class Target:
    """A module and its tests, as pytest's arguments; ``--only`` selects by ``concern`` or by the module's name."""

    concern: str
    source_root: Path
    name: str
    tests: tuple[str, ...]

    @property
    def source(self) -> Path:
        """The module's file."""
        return self.source_root / self.name

    @property
    def module(self) -> str:
        """The dotted name that the tests import."""
        return self.name.removesuffix(".py").replace("/", ".")


def _gateway(concern: str, names: tuple[str, ...], *tests: str) -> list[Target]:
    return [Target(concern, _GATEWAY, f"obscura/{name}", tests) for name in names]


def _imaging(name: str, *tests: str) -> Target:
    return Target("images", _IMAGING, f"obscura/imaging/{name}", (*tests, _ALONE))


_ALONE = "--noconftest"  # without the fixtures of served gateways, whose import takes longer than the tests
_FETCH = tuple(f"tests/unit/fetch/test_{name}.py" for name in ("addresses", "policy", "image_url", "origin"))
_JSON = tuple(
    f"tests/unit/dialects/json/test_{name}.py"
    for name in ("fields", "strings", "duplicate_keys", "raw", "prescan", "items")
)
_IMAGES = "tests/unit/imaging/test_"

# The tests stand beside the module's own, the quick ones first: a run ends at the first that fails. A test that
# starts a process does not see the mutant, and one that measures time does not measure it here.
TARGETS = [
    *_gateway("addresses", ("fetch/addresses.py", "fetch/policy.py"), *_FETCH, _ALONE),
    *_gateway("addresses", ("api/client_address.py",), "tests/api/test_client_address.py"),
    *_gateway("json", ("dialects/json/fields.py", "dialects/json/raw.py", "dialects/json/prescan.py"), *_JSON, _ALONE),
    *_gateway(
        "admission",
        ("auth/access.py", "auth/limits.py"),
        *("tests/unit/auth", "tests/api/test_rates.py", "tests/api/test_free_tier.py", "tests/security/free_tier"),
    ),
    *_gateway("jwt", ("auth/jwt/jwks.py",), "tests/unit/auth/test_jwks.py", "tests/api/auth/test_jwks.py", _ALONE),
    *_gateway(
        "jwt",
        ("auth/jwt/verifier.py",),
        "tests/unit/auth",
        "tests/security/callers/test_projects.py",
        "tests/security/callers/test_tokens.py",
    ),
    *_gateway(
        "quotas",
        ("stores/sqlite/counters.py",),
        "tests/unit/stores",
        "tests/contract/test_quotas.py",
        "tests/contract/test_verdicts.py",
        "-k=not dynamodb and not on_aws",
    ),
    _imaging(
        "container.py", *(f"{_IMAGES}{name}.py" for name in ("container", "png", "webp", "jpeg", "detect", "heic"))
    ),
    _imaging("limits.py", f"{_IMAGES}limits.py"),
    _imaging("formats/png.py", f"{_IMAGES}png.py", f"{_IMAGES}completeness.py"),
    _imaging("formats/webp.py", f"{_IMAGES}webp.py", f"{_IMAGES}completeness.py"),
    _imaging("formats/gif.py", f"{_IMAGES}gif.py", f"{_IMAGES}completeness.py"),
    _imaging("formats/jpeg.py", f"{_IMAGES}jpeg.py", f"{_IMAGES}jpeg_completeness.py"),
    _imaging("formats/bmp.py", f"{_IMAGES}bmp.py"),
    _imaging("formats/tiff.py", f"{_IMAGES}tiff.py"),
    _imaging("isobmff.py", f"{_IMAGES}heic.py", f"{_IMAGES}avif.py", f"{_IMAGES}hostile_heic.py"),
]


def read_equivalent() -> list[dict[str, str]]:
    """Return the listed equivalent mutants: ``module``, ``before``, ``after`` and ``reason`` of each."""
    entries: list[dict[str, str]] = tomllib.loads(_EQUIVALENT.read_text()).get("mutant", [])
    return entries
