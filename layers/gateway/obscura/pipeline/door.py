"""The door: the ports and limits by which callers are let in."""

from dataclasses import dataclass

from obscura.ports import AddressSecret, Clock, Keys, Quotas, Rates, Tokens


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How often callers may ask: by key and by token in a minute, by network in a day; 0 closes the free tier."""

    key_requests_per_minute: int = 120
    jwt_requests_per_minute: int = 30
    free_tier_requests: int = 1


@dataclass(frozen=True, slots=True)
class Door:
    """Who knows the callers and who counts them.

    Without ``tokens`` no JWT is taken. With ``open_in_outage``, holders of a key that is remembered go on uncounted
    while the store cannot be reached; nobody else ever does.
    """

    keys: Keys
    tokens: Tokens | None
    rates: Rates
    quotas: Quotas
    address_secret: AddressSecret
    clock: Clock
    limits: AdmissionLimits
    open_in_outage: bool = False
