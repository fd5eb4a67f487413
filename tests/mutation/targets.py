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


def _imaging(names: tuple[str, ...], *tests: str) -> list[Target]:
    return [Target("images", _IMAGING, f"obscura/imaging/{name}", tests) for name in names]


_URLS = ("tests/unit/fetch/test_policy.py", "tests/unit/fetch/test_image_url.py", "tests/unit/fetch/test_origin.py")
_IMAGES = ("tests/unit/imaging", "tests/security/images/test_smuggling.py")

TARGETS = [
    *_gateway("addresses", ("fetch/addresses.py", "fetch/policy.py"), "tests/unit/fetch/test_addresses.py", *_URLS),
    *_gateway("addresses", ("api/client_address.py",), "tests/api/test_client_address.py"),
    *_gateway("json", ("dialects/json/raw.py", "dialects/json/fields.py"), "tests/unit/dialects"),
    *_gateway("json", ("dialects/json/prescan.py",), "tests/unit/dialects"),
    *_gateway("admission", ("auth/access.py", "auth/limits.py"), "tests/unit/auth", "tests/api/test_rates.py"),
    *_gateway(
        "jwt",
        ("auth/jwt/jwks.py", "auth/jwt/verifier.py"),
        "tests/unit/auth",
        "tests/api/auth",
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
    *_imaging(("formats/jpeg.py", "formats/png.py", "formats/webp.py", "formats/gif.py"), *_IMAGES),
    *_imaging(("container.py", "limits.py", "isobmff.py"), *_IMAGES),
    *_imaging(("formats/bmp.py",), "tests/unit/imaging/test_bmp.py", *_IMAGES),
    *_imaging(("formats/tiff.py",), "tests/unit/imaging/test_tiff.py", *_IMAGES),
]


def read_equivalent() -> list[dict[str, str]]:
    """Return the listed equivalent mutants: ``module``, ``before``, ``after`` and ``reason`` of each."""
    entries: list[dict[str, str]] = tomllib.loads(_EQUIVALENT.read_text()).get("mutant", [])
    return entries
