"""A Snapshot as a page of text, as a frame that fits a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fluxlab.monitoring.panels import Headline, Row, number, show_bytes
from fluxlab.monitoring.reading import Reading, Snapshot

#: A page shows this many rows of each panel.
_ROWS_OF_PAGE = 8
#: A panel that has room for less shows its headline only.
_LEAST_ROWS = 2
_MARK = "▲ "


def page(snapshot: Snapshot, rows: int = _ROWS_OF_PAGE) -> RenderableType:
    """Return every panel with its first rows, one below the other."""
    parts: list[RenderableType] = [_status(snapshot)]
    for reading in snapshot.readings:
        parts += [Text(""), _headline(reading), *_body(reading, rows)]
        left = len(telling(reading)) - rows
        if left > 0:
            parts.append(Text(f"  and {left:,} more", style="dim"))
    return Group(*parts)


def frame(snapshot: Snapshot, width: int, height: int) -> RenderableType:
    """Return as much as a terminal of that size shows: every headline, then rows.

    The first panels get rows first; what is left goes to all that have more.
    """
    parts: list[RenderableType] = [_status(snapshot)]
    room = rows_that_fit(
        [len(telling(reading)) for reading in snapshot.readings],
        height - 1 - len(snapshot.readings),
    )
    for reading, rows in zip(snapshot.readings, room, strict=True):
        parts += [_headline(reading, width), *_body(reading, rows)]
    return Group(*parts)


def telling(reading: Reading) -> Sequence[Row]:
    """Return the rows that say something: those with a weight."""
    weight = reading.panel.weight
    return [row for row in reading.rows if weight is None or number(row, weight) > 0]


def rows_that_fit(wanted: Sequence[int], lines: int) -> list[int]:
    """Share out lines among panels; each that shows rows needs one more for their names.

    >>> rows_that_fit([0, 5, 1, 9], 9)
    [0, 3, 1, 2]
    """
    given = [0] * len(wanted)
    for place, count in enumerate(wanted):
        least = min(count, _LEAST_ROWS)
        if least and least + 1 <= lines:
            given[place] = least
            lines -= least + 1
    while lines > 0:
        hungry = [place for place, count in enumerate(wanted) if 0 < given[place] < count]
        if not hungry:
            break
        for place in hungry[:lines]:
            given[place] += 1
        lines -= len(hungry[:lines])
    return given


def as_json(snapshot: Snapshot) -> str:
    """Return a Snapshot as one JSON document; numbers as the server gave them."""
    document = {
        "at": snapshot.at,
        "server": snapshot.server,
        "lost": snapshot.lost or None,
        "panels": {
            reading.panel.name: {
                "headline": reading.headline.text,
                "refusal": reading.refusal or None,
                "interval_s": reading.interval_s,
                "rows": [dict(row) for row in reading.rows],
            }
            for reading in snapshot.readings
        },
    }
    return json.dumps(document, indent=2, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _status(snapshot: Snapshot) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{snapshot.at.astimezone():%H:%M:%S}  ", style="bold")
    if snapshot.lost:
        return line.append(_MARK + snapshot.lost, style="bold red")
    line.append(snapshot.server)
    intervals = [
        one.interval_s
        for one in snapshot.readings
        if one.interval_s is not None and not one.panel.every_s
    ]
    since = f"of the last {max(intervals):.1f} s" if intervals else "since their reset"
    return line.append(f"  counters {since}", style="dim")


def _headline(reading: Reading, width: int | None = None) -> Text:
    said = reading.headline
    if reading.interval_s is not None and not reading.rows:
        said = Headline("idle")
    mark = _MARK if said.is_alarm else ""
    # A page has room for a second line, a frame has not.
    line = Text(no_wrap=width is not None, overflow="ellipsis")
    line.append(f"{reading.panel.title}: ", style="bold cyan")
    line.append(mark + said.text, style=_style(reading, said))
    if reading.whole is not None:
        whole = f" · {reading.whole.text} in all"
        if width is None or len(line) + len(whole) <= width:
            line.append(whole, style="dim")
    return line


def _style(reading: Reading, said: Headline) -> str:
    return "yellow" if reading.refusal else "bold red" if said.is_alarm else ""


def _body(reading: Reading, rows: int) -> Iterable[RenderableType]:
    found = telling(reading)[:rows]
    if not found:
        return
    *numbers, last = reading.panel.shown
    table = Table(box=None, pad_edge=False, expand=True, padding=(0, 1), show_edge=False)
    for column in numbers:
        is_text = isinstance(found[0][column], str)
        table.add_column(
            _name(column), justify="left" if is_text else "right", no_wrap=True
        )
    table.add_column(_name(last), no_wrap=True, overflow="ellipsis", ratio=1)
    for row in found:
        table.add_row(*(Text(_cell(one, row[one])) for one in (*numbers, last)))
    yield table


def _name(column: str) -> Text:
    """Write the name of a column as words, its unit after a comma.

    >>> str(_name("total_ms")), str(_name("hit_rate_percent")), str(_name("table_bytes"))
    ('total, ms', 'hit rate, %', 'table')
    """
    words, _, unit = column.rpartition("_")
    shown = {"ms": ", ms", "s": ", s", "percent": ", %", "bytes": ""}
    text = words + shown[unit] if words and unit in shown else column
    return Text(text.replace("_", " "), style="dim")


def _cell(column: str, value: object) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return _ago(value)
        case list():
            return ", ".join(str(one) for one in value)
        case int() | float() | Decimal() if column.endswith("_bytes"):
            return show_bytes(float(value))
        case float() | Decimal() if column.endswith("_percent"):
            return f"{float(value):.4g}"
        case int() | float() | Decimal():
            amount = float(value)
            return f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:.3g}"
        case _:
            return str(value)


def _ago(then: datetime) -> str:
    seconds = (datetime.now(UTC) - then).total_seconds()
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds / 86_400:.0f} d ago"
