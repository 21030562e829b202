"""What tokens cost, from the table that an operator keeps."""

from __future__ import annotations

from dataclasses import dataclass

_PER = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Of one model, for a million tokens."""

    prompt_dollars: float = 0.0
    completion_dollars: float = 0.0

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What one answer costs, in dollars."""
        prompt = prompt_tokens * self.prompt_dollars
        return (prompt + completion_tokens * self.completion_dollars) / _PER


FREE = Price()
