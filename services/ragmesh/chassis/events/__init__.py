"""The event log: a port, the rules of delivery, the facts it carries and its SQLite adapter."""

from ragmesh.chassis.events.port import Delivery, Event, EventLog, Handler
from ragmesh.chassis.events.retrying import RetryPolicy

__all__ = ["Delivery", "Event", "EventLog", "Handler", "RetryPolicy"]
