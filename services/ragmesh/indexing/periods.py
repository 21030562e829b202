"""Periods that usage is summed up by: hours in the catalog, days and months for who asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ragmesh.core.usage import Interval, UsagePeriod, UsageSummary

_HOUR = timedelta(hours=1)


def summed_up(
    hours: tuple[UsageSummary, ...], period: UsagePeriod | None, *, whole: Interval
) -> list[UsageSummary]:
    """The hours as sums of periods; without a period as one of the whole time."""
    sums: dict[tuple[datetime, str, str], UsageSummary] = {}
    for hour in hours:
        since, until = _period_of(hour.since, period, whole)
        key = (since, hour.tenant, hour.model)
        added = replace(hour, since=since, until=until)
        sums[key] = sums[key].plus(added) if key in sums else added
    return [sums[key] for key in sorted(sums)]


def asked_or_this_month(interval: Interval, now: datetime) -> tuple[datetime, datetime]:
    """The time that is asked about; without a begin from that of this month, without an end all."""
    since, until = interval.since or month_of(now), interval.until or hour_of(now) + _HOUR
    Interval(since, until)
    return since, until


def month_of(moment: datetime) -> datetime:
    """The begin of the moment's calendar month (UTC)."""
    return _day(moment).replace(day=1)


def _period_of(
    hour: datetime, period: UsagePeriod | None, whole: Interval
) -> tuple[datetime, datetime]:
    match period:
        case UsagePeriod.DAY:
            return _day(hour), _day(hour) + timedelta(days=1)
        case UsagePeriod.MONTH:
            return month_of(hour), month_of(month_of(hour) + timedelta(days=32))
        case None:
            return whole.since or hour, whole.until or hour


def full_hours(since: datetime, until: datetime) -> Interval:
    """The hours that touch the time, as one interval."""
    begin, end = hour_of(since), hour_of(until)
    return Interval(begin, end if end == until else end + _HOUR)


def hour_of(moment: datetime) -> datetime:
    """The begin of the moment's hour (UTC)."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _day(moment: datetime) -> datetime:
    return hour_of(moment).replace(hour=0)
