"""Errors about models behind an endpoint: the provider's faults, not the caller's."""

from __future__ import annotations

from ragmesh.core.errors.tree import DeadlineError, ExhaustedError, UnavailableError


class ProviderUnavailableError(UnavailableError):
    """The provider of a model cannot be reached, or failed while it answered."""

    reason = "PROVIDER_UNAVAILABLE"


class ProviderOverloadedError(ExhaustedError):
    """The provider of a model takes no more requests just now; retry after the given delay."""

    reason = "PROVIDER_OVERLOADED"


class ProviderTimeoutError(DeadlineError):
    """The provider of a model said nothing for longer than it may."""

    reason = "PROVIDER_TIMEOUT"


class ProviderRefusedError(UnavailableError):
    """The provider refuses every such request: its key, its model or its settings are wrong."""

    reason = "PROVIDER_REFUSED"


class ProviderReplyError(UnavailableError):
    """The provider answered with something that is not what its interface promises."""

    reason = "PROVIDER_REPLY_UNUSABLE"
