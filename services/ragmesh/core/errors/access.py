"""Errors about API keys and what they may do, and about tenants."""

from __future__ import annotations

from ragmesh.core.errors.tree import (
    AlreadyExistsError,
    ConflictError,
    DeniedError,
    InvalidError,
    NotFoundError,
    PreconditionError,
    UnauthenticatedError,
    UnavailableError,
)


class KeyMissingError(UnauthenticatedError):
    """The request carries no `Authorization: Bearer` header with an API key."""

    reason = "API_KEY_MISSING"


class KeyMalformedError(UnauthenticatedError):
    """The Authorization header holds no API key of this mesh's form, or there are two headers."""

    reason = "API_KEY_MALFORMED"


class KeyUnknownError(UnauthenticatedError):
    """No such API key was made here, or its secret is wrong."""

    reason = "API_KEY_UNKNOWN"


class KeyRevokedError(UnauthenticatedError):
    """The API key was revoked."""

    reason = "API_KEY_REVOKED"


class KeyExpiredError(UnauthenticatedError):
    """The time of the API key is over."""

    reason = "API_KEY_EXPIRED"


class KeyInUrlError(InvalidError):
    """An API key stands in the URL, where logs keep it; it belongs into the Authorization header.

    Whoever sent it should have the key rotated.
    """

    reason = "API_KEY_IN_URL"


class KeysStaleError(UnavailableError):
    """Nothing was heard of API keys for too long, so that none can be believed."""

    reason = "KEYS_STALE"


class ScopeMissingError(DeniedError):
    """The key is good, but may not do this; the metadata names the scope that would."""

    reason = "SCOPE_MISSING"


class KeyNotFoundError(NotFoundError):
    """There is no such API key, or this caller may not see it."""

    reason = "API_KEY_NOT_FOUND"


class KeyEndedError(PreconditionError):
    """The API key is revoked or expired; nothing can be made of it any more."""

    reason = "API_KEY_ENDED"


class SecretSpentError(ConflictError):
    """The key of this request was made already, and its secret is told only once."""

    reason = "SECRET_SPENT"


class TenantChangedError(ConflictError):
    """The tenant was changed since it was read; read it again and say the change anew."""

    reason = "TENANT_CHANGED"


class TenantNotFoundError(NotFoundError):
    """There is no such tenant, or this caller may not see it."""

    reason = "TENANT_NOT_FOUND"


class TenantExistsError(AlreadyExistsError):
    """There already is a tenant of that name."""

    reason = "TENANT_EXISTS"


class AdminKeyUnusableError(PreconditionError):
    """The file of `identity.admin_key_file` cannot be read, or holds no SHA-256 of a key."""

    reason = "ADMIN_KEY_UNUSABLE"


class DefaultTenantError(PreconditionError):
    """The tenant `default` cannot be deleted: developer mode lives in it."""

    reason = "DEFAULT_TENANT"
