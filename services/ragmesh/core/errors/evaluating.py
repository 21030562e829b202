"""Errors of what evaluations read."""

from __future__ import annotations

from ragmesh.core.errors.tree import InvalidError, PreconditionError


class InvalidGoldenQuestionsError(InvalidError):
    """A file of golden questions breaks a rule; the message names lines and rules."""

    reason = "INVALID_GOLDEN_QUESTIONS"


class InvalidEvaluationError(InvalidError):
    """A file is not the result of an evaluation, or was changed since."""

    reason = "INVALID_EVALUATION"


class IncomparableEvaluationsError(PreconditionError):
    """Two evaluations cannot be compared: they asked other questions, or looked at other depths."""

    reason = "INCOMPARABLE_EVALUATIONS"
