"""Times of servers, as people read them: in the zone of the TWS instance, with the zone beside them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def parse_moment(value: str | None) -> datetime | None:
    """An ISO 8601 time; without an offset it is UTC. None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if value else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def seconds_between(start: str | None, end: str | datetime | None) -> float | None:
    """Seconds from one time to a later one; None where one is missing or they are the wrong way round."""
    began, ended = parse_moment(start), end if isinstance(end, datetime) else parse_moment(end)
    if began is None or ended is None:
        return None
    seconds = (ended - began).total_seconds()
    return seconds if seconds >= 0 else None


def in_zone(value: str | None, zone: str) -> str:
    """The time in ``zone`` as ISO 8601 with its offset; as it came where the time or the zone is not known."""
    local = _local(value, zone)
    return local.isoformat(timespec="seconds") if local is not None else value or ""


def shown_time(value: str | None, zone: str = "") -> str:
    """``2026-11-24 08:31 (America/Sao_Paulo)``; without a known zone with the offset that the time brings."""
    local = _local(value, zone)
    moment = local or parse_moment(value)
    if moment is None:
        return value or ""
    offset = f"{moment:%z}"
    utc = "UTC" if offset == "+0000" else f"UTC{offset[:3]}:{offset[3:5]}"
    return f"{moment.isoformat(' ')[:16]} ({zone if local else utc})"


def _local(value: str | None, zone: str) -> datetime | None:
    moment = parse_moment(value) if zone else None
    try:
        return moment.astimezone(ZoneInfo(zone)) if moment else None
    except (ZoneInfoNotFoundError, ValueError, OSError):  # of a zone that is none
        return None
    except OverflowError:  # of the first and the last day of the calendar, which writers use for "none"
        return None
