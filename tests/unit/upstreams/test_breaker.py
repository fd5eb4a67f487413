"""The circuit breaker: closed, open, half open."""

from obscura.upstreams.breaker import Attempt, CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def opened(clock: Clock, failures: int = 3, open_s: float = 30.0) -> CircuitBreaker:
    breaker = CircuitBreaker(failures, open_s, clock)
    for _ in range(failures):
        fail(breaker)
    return breaker


def fail(breaker: CircuitBreaker, retry_after_s: int | None = None) -> None:
    attempt = breaker.admit()
    assert attempt is not None
    breaker.failed(attempt, retry_after_s)


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = CircuitBreaker(3, 30.0, Clock())
    for _ in range(2):
        fail(breaker)
    breaker.succeeded(Attempt.ORDINARY)
    for _ in range(2):
        fail(breaker)
    closed_after = [breaker.is_closed]
    fail(breaker)
    closed_after.append(breaker.is_closed)

    assert closed_after == [True, False]
    assert breaker.admit() is None
    assert breaker.wait_s == 30


def test_one_trial_is_admitted_when_its_time_is_over() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s += 29.9
    assert breaker.admit() is None
    clock.now_s += 0.1

    assert [breaker.admit() for _ in range(3)] == [Attempt.TRIAL, None, None]


def test_a_trial_that_succeeds_closes_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s += 30
    assert breaker.admit() is Attempt.TRIAL
    breaker.succeeded(Attempt.TRIAL)

    assert [breaker.admit() for _ in range(2)] == [Attempt.ORDINARY] * 2
    fail(breaker)
    assert breaker.is_closed


def test_a_trial_that_fails_opens_it_again_for_the_whole_time() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s += 30
    fail(breaker)
    clock.now_s += 29

    assert breaker.admit() is None
    clock.now_s += 1
    assert breaker.admit() is Attempt.TRIAL


def test_a_trial_whose_caller_went_away_is_made_again() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s += 30
    assert breaker.admit() is Attempt.TRIAL
    breaker.abandoned(Attempt.TRIAL)

    assert breaker.admit() is Attempt.TRIAL


def test_late_failures_of_earlier_calls_do_not_prolong_it() -> None:
    clock = Clock()
    breaker = CircuitBreaker(2, 30.0, clock)
    early = [breaker.admit() for _ in range(4)]
    for attempt in early[:2]:
        assert attempt
        breaker.failed(attempt)
    clock.now_s += 20
    for attempt in early[2:]:
        assert attempt
        breaker.failed(attempt)
    clock.now_s += 10

    assert breaker.admit() is Attempt.TRIAL


def test_a_shorter_retry_after_opens_it_for_that_time() -> None:
    clock = Clock()
    breaker = CircuitBreaker(1, 30.0, clock)
    fail(breaker, retry_after_s=2)
    clock.now_s += 2
    assert breaker.admit() is Attempt.TRIAL
    breaker.failed(Attempt.TRIAL, retry_after_s=300)
    clock.now_s += 30

    assert breaker.admit() is Attempt.TRIAL
