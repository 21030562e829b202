"""What goes wrong between ragmesh and an OpenAI-compatible provider, as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from ragmesh.core.errors import (
    ProviderOverloadedError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RagmeshError,
)

_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})
_LONGEST_RETRY_SECONDS = 3_600.0


@contextmanager
def provider_errors(name: str, now: datetime) -> Iterator[None]:
    """Say of a call in this block what its provider did; `now` is what Retry-After counts from.

    Nothing that a provider wrote gets into an error: it may repeat the key or text it was sent.
    """
    # A second of imports that a mesh without endpoints must not pay.
    import openai

    try:
        yield
    except openai.APITimeoutError as error:
        raise ProviderTimeoutError(f"{name} did not answer in time", metadata=_of(name)) from error
    except openai.APIConnectionError as error:
        raise ProviderUnavailableError(
            f"{name} cannot be reached or broke off", metadata=_of(name)
        ) from error
    except openai.APIStatusError as error:
        raise _refusal(name, error.status_code, error.response.headers, now) from None
    except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
        # The library reads replies without checking them, so a wrong one fails anywhere in it.
        raise ProviderReplyError(
            f"{name} answered with something that is no reply", metadata=_of(name)
        ) from error


def _refusal(name: str, status: int, headers: Mapping[str, str], now: datetime) -> RagmeshError:
    metadata = {**_of(name), "status": str(status)}
    wait = retry_after_seconds(headers.get("retry-after", ""), now)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ProviderOverloadedError(
            f"{name} takes no more requests just now",
            metadata=metadata,
            retry_after_seconds=wait,
        )
    if status in _AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderUnavailableError(
            f"{name} failed with status {status}", metadata=metadata, retry_after_seconds=wait
        )
    return ProviderRefusedError(f"{name} refused with status {status}", metadata=metadata)


def retry_after_seconds(header: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header, which may hold a date; None when it says nothing."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    # A comparison with NaN is never true, so NaN ends as nothing said.
    return min(max(seconds, 0.0), _LONGEST_RETRY_SECONDS) if seconds == seconds else None


def _of(name: str) -> dict[str, str]:
    return {"provider": name}
