"""What is remembered of callers is bounded, and forgetting it gives nothing away."""

from __future__ import annotations

from ragmesh.gateway.limiting.accounts import Accounts, Bucket, seconds_until


def test_the_longest_unused_account_is_forgotten_first() -> None:
    accounts = Accounts(most=3)
    accounts.of("a").requests.use(1)
    for name in ("b", "c", "a", "d"):
        accounts.of(name)
    assert len(accounts) == 3
    assert accounts.of("a").requests.used == 1


def test_an_account_with_requests_under_way_is_never_forgotten() -> None:
    accounts = Accounts(most=2)
    busy = accounts.of("busy")
    busy.in_flight = 1
    for number in range(10):
        accounts.of(str(number))
    assert accounts.of("busy") is busy
    assert len(accounts) == 2


def test_a_million_callers_take_no_more_memory_than_the_most() -> None:
    accounts = Accounts(most=100)
    for number in range(10_000):
        accounts.of("tenant", str(number))
    assert len(accounts) == 100


def test_a_bucket_never_holds_more_than_its_limit() -> None:
    bucket = Bucket()
    assert bucket.left(10, now=1e9) == 10
    bucket.use(25)
    assert bucket.left(10, now=1e9) == -15
    assert bucket.left(10, now=1e9 + 60) == -5
    assert bucket.left(10, now=2e9) == 10


def test_a_delay_is_whole_and_never_too_short() -> None:
    assert [seconds_until(amount, 60) for amount in (0.001, 1, 1.5, 60)] == [1, 1, 2, 60]
