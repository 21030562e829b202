"""The gate that every request of a caller passes: it is let in, or refused at once with a delay.

Two kinds of limits stand here. What a key or tenant *may* use is counted in accounts: requests and
uploaded bytes a minute, requests under way. What the process *can* do is a number of places, and
they are shared so that a crowd of one never fills the house: a caller may hold as many as are
still free, times a factor. One alone gets half of them, two get a third each, and whoever comes
next always finds some. Switches share their buffers by this rule, the dynamic threshold; it needs
no list of who is there, and no queue that a flood could fill.

No request waits to be let in. What may wait for a second is the refusal of a key that goes on
sending although it was refused again and again: a client in a loop then sends one request a second
instead of as many as it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from enum import Enum

from ragmesh.core.callers import Principal
from ragmesh.core.clock import Clock
from ragmesh.core.errors import ExhaustedError, OverloadedError, RagmeshError
from ragmesh.gateway.limiting.accounts import Accounts
from ragmesh.gateway.limiting.quotas import GATEWAY, KEY, TENANT
from ragmesh.gateway.limiting.visits import Holder, Visit
from ragmesh.gateway.ports import Quotas

PLACES = 256
HELD_SECONDS = 1.0
"""On the average: clients that are held together shall not come again together."""
_GOLDEN = 0.618_034
"""Its multiples, without what stands before the point, spread over [0, 1) as evenly as can be."""
UNHELD_REFUSALS = 60
"""A key may be refused so often in a minute before its refusals are held."""
_MOST_HELD = 256
_RETRY_SECONDS = 1.0
_FACTORS = {KEY: 1.0, TENANT: 2.0}
"""Alone, a key may hold half of the places, and all keys of a tenant two thirds."""


class Priority(Enum):
    """Who is served first when not all can be; probes pass no gate at all."""

    INTERACTIVE = 1.0
    """Somebody waits for the answer."""
    BULK = 0.5
    """Uploads, repairs, following: whoever sends them comes again."""

    @property
    def share(self) -> float:
        """How much of all places requests of this priority may take together, and how much of
        the factor of a caller is theirs."""
        return self.value


OnRefusal = Callable[[str, str], None]
"""Told of each refusal: its reason and whose room was used up, neither key nor tenant."""


def unheard(_reason: str, _scope: str) -> None:
    """Nobody counts refusals."""


_current: ContextVar[Visit | None] = ContextVar("ragmesh_visit", default=None)


def count_upload(size: int) -> None:
    """Count bytes that the current request brought; outside of one nobody brings any."""
    visit = _current.get()
    if visit is not None:
        visit.uploaded(size)


class Gate:
    """Lets requests in as long as their key, their tenant and this process have room."""

    def __init__(
        self,
        quotas: Quotas,
        clock: Clock,
        *,
        places: Callable[[], int] = lambda: PLACES,
        on_refusal: OnRefusal = unheard,
    ) -> None:
        self._quotas = quotas
        self._clock = clock
        self._places = places
        self._on_refusal = on_refusal
        self._accounts = Accounts()
        self._visits: set[Visit] = set()
        self._taken = dict.fromkeys(Priority, 0)
        self._held = 0
        self._spread = 0.0

    @property
    def under_way(self) -> int:
        """Requests that were let in and have not ended."""
        return sum(self._taken.values())

    def approach(self, principal: Principal) -> Visit:
        """A request of this caller, not let in yet."""
        allowances = self._quotas.of(principal)
        tenant, key = principal.tenant_uid, principal.key_id or principal.subject
        of_key, of_tenant = self._accounts.of(tenant, key), self._accounts.of(tenant)
        holders = (
            Holder(KEY, of_key, allowances.key),
            Holder(TENANT, of_tenant, allowances.tenant),
        )
        return Visit(principal, holders, self._clock)

    @asynccontextmanager
    async def admit(
        self, visit: Visit, priority: Priority, *, uploads: bool = False
    ) -> AsyncIterator[None]:
        """The request is under way for the time of the block; ExhaustedError when it may not be.

        Whoever is refused has used nothing up.
        """
        try:
            visit.refuse(uploads=uploads)
            self._refuse_crowd(visit, priority)
        except ExhaustedError as error:
            scope = error.metadata["scope"]
            self._on_refusal(error.reason, scope)
            # A gateway that is full says so at once: that is not the fault of who asks.
            if scope != GATEWAY and visit.refused_often(UNHELD_REFUSALS):
                await self._hold()
            raise
        visit.begin()
        self._visits.add(visit)
        self._taken[priority] += 1
        outer = _current.get()
        _current.set(visit)
        try:
            yield
        except asyncio.CancelledError:
            refusal = visit.refusal_instead()
            if refusal is None:
                raise
            raise refusal from None
        finally:
            self._visits.discard(visit)
            # Not reset(token), for the reason of `requests.serving`.
            _current.set(outer)
            self._taken[priority] -= 1
            visit.end()

    def turn_out(self, refusal_of: Callable[[Principal], RagmeshError | None]) -> None:
        """End the requests under way whose callers would not be let in any more."""
        for visit in list(self._visits):
            refusal = refusal_of(visit.principal)
            if refusal is not None:
                visit.turn_out(refusal)

    async def _hold(self) -> None:
        if self._held >= _MOST_HELD:
            return
        self._held += 1
        self._spread = (self._spread + _GOLDEN) % 1
        try:
            await self._clock.sleep(HELD_SECONDS * (0.5 + self._spread))
        finally:
            self._held -= 1

    def _refuse_crowd(self, visit: Visit, priority: Priority) -> None:
        """Raise OverloadedError when this process has no place left, or none for this caller."""
        places = self._places()
        free = places - self.under_way
        if free <= 0 or self._taken[priority] >= max(1, int(places * priority.share)):
            raise _overloaded(GATEWAY, "as much under way as it can do")
        for holder in visit.holders:
            if holder.account.in_flight >= max(1, free * _FACTORS[holder.scope] * priority.share):
                raise _overloaded(holder.scope, f"all under way that one {holder.scope} may have")


def _overloaded(scope: str, what: str) -> OverloadedError:
    return OverloadedError(
        f"the gateway has {what} now",
        metadata={"scope": scope},
        retry_after_seconds=_RETRY_SECONDS,
    )
