"""The number that grows with every change of a key or tenant."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from ragmesh.indexing.adapters.catalog.key_tables import key_changes


def next_change(connection: Connection) -> int:
    """The number of this change; none that is committed later has a smaller one."""
    column = key_changes.c.last
    statement = update(key_changes).values(last=column + 1).returning(column)
    last = connection.execute(statement).scalar()
    if last is None:
        connection.execute(insert(key_changes), {"single": 1, "last": 1})
        return 1
    return int(last)


def last_change(connection: Connection) -> int:
    """The number of the last change; 0 before any."""
    return int(connection.execute(select(key_changes.c.last)).scalar() or 0)
