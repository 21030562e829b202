"""How fast candidates are filled: all of them together by one rate, and each by its share of it.

Filling competes with questions and uploads for the same encoder, and they do not care how many
indexes are being changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Allowance:
    """What may be handed out; it grows with time, up to a bound."""

    at: float
    held: float = 1.0
    look: int = 0
    """In which it was asked for last."""
    offered: int = 0
    is_spent: bool = True
    """Whether all that was offered last was taken: what takes less is not held back by it."""

    def earn(self, now: float, rate: float, most: float) -> None:
        self.held = min(self.held + (now - self.at) * rate, most)
        self.at = now


@dataclass(slots=True)
class Pace:
    """How many documents each version may get by now; kept by one process for all of them."""

    documents_per_second: float
    """Of all versions together."""
    window_documents: int
    """Most that one version saves up."""
    _all: _Allowance | None = field(default=None, init=False)
    _of: dict[str, _Allowance] = field(default_factory=dict, init=False)
    _look: int = field(default=0, init=False)

    def begin_look(self) -> None:
        """From here on every version that lacks something asks once more."""
        self._look += 1

    def may_get(self, uid: str, now: float) -> int:
        """Documents that the version may be handed now."""
        mine = self._of.setdefault(uid, _Allowance(now))
        mine.look = self._look
        common = self._all = self._all or _Allowance(now)
        sharing = max(self._sharing(), 1)
        mine.earn(now, self.documents_per_second / sharing, self.window_documents)
        common.earn(now, self.documents_per_second, self.window_documents * sharing)
        mine.offered = max(int(min(mine.held, common.held)), 0)
        mine.is_spent = mine.is_spent or not mine.offered
        return mine.offered

    def got(self, uid: str, documents: int) -> None:
        """So many were handed to the version, which may be more than it might get: it is owed."""
        mine = self._of[uid]
        mine.held -= documents
        mine.is_spent = documents >= mine.offered
        if self._all is not None:
            self._all.held -= documents

    def forget(self, uid: str) -> None:
        """The version is gone."""
        self._of.pop(uid, None)

    def _sharing(self) -> int:
        """Versions that the rate holds back: no other wants more than it gets."""
        return sum(one.is_spent and one.look >= self._look - 1 for one in self._of.values())
