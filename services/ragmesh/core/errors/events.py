"""Errors of an event log that other machines keep.

All but the last two are transient: whoever sends or consumes goes on trying, so that a broker that
comes back, a topic that is made or a credential that is mended needs no restart.
"""

from __future__ import annotations

from ragmesh.core.errors.tree import InternalError, PreconditionError, UnavailableError


class EventLogUnreachableError(UnavailableError):
    """No broker of the event log answers; what is to be sent waits until one does."""

    reason = "EVENT_LOG_UNREACHABLE"


class EventLogCredentialsError(UnavailableError):
    """The brokers of the event log do not accept who we say we are, or their own name is false."""

    reason = "EVENT_LOG_CREDENTIALS_REFUSED"


class EventLogDeniedError(UnavailableError):
    """The brokers of the event log know us and do not let us do what is needed."""

    reason = "EVENT_LOG_DENIED"


class EventLogVersionError(UnavailableError):
    """What listens there is no broker that this version can talk to."""

    reason = "EVENT_LOG_VERSION_UNSUPPORTED"


class TopicMissingError(UnavailableError):
    """A topic of the event log is not there; `ragmesh topics apply` makes it."""

    reason = "TOPIC_MISSING"


class TopicShrinkError(PreconditionError):
    """A topic has more partitions than are declared: taking some away would lose their events."""

    reason = "TOPIC_WOULD_SHRINK"


class ConsumerStuckError(InternalError):
    """Events wait and none arrives, although the consumer was made anew once already."""

    reason = "CONSUMER_STUCK"
