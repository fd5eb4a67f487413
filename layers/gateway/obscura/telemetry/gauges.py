"""What holds at an instant in one process: its memory budget, its open circuits."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol, runtime_checkable

from obscura.pipeline.services import Services
from obscura.telemetry.metrics import Key
from obscura.upstreams.breaker import CircuitBreaker


@runtime_checkable
class _HasBreakers(Protocol):
    breakers: Mapping[str, CircuitBreaker]


@runtime_checkable
class _NamesModels(Protocol):
    named_models: Collection[str]


def gauges_of(services: Services) -> Callable[[], Mapping[Key, float]]:
    """Return what reads the gauges of these services, in any thread."""
    memory = services.memory
    owners: dict[str, object] = {"upstream": services.catalog, "moderation": services.moderator}
    guarded = [
        (("obscura_circuits_open", kind, name), breaker)
        for kind, owner in owners.items()
        if isinstance(owner, _HasBreakers)
        for name, breaker in owner.breakers.items()
    ]

    def read() -> dict[Key, float]:
        return {
            ("obscura_memory_budget_bytes",): memory.total_bytes,
            ("obscura_memory_used_bytes", "bodies"): memory.used_bytes,
            ("obscura_memory_used_bytes", "decoding"): memory.pixels.used_bytes,
            **{key: 0.0 if breaker.is_closed else 1.0 for key, breaker in guarded},
        }

    return read


def named_models(services: Services) -> Collection[str]:
    """Return the models that the catalog names: none if it takes any name."""
    catalog = services.catalog
    return catalog.named_models if isinstance(catalog, _NamesModels) else frozenset()
