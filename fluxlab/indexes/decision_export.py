"""Decisions as text: Markdown for a review, CSV for a table, SQL for psql."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite

from fluxlab.indexes.amounts import show_bytes, show_change, show_ms
from fluxlab.indexes.decisions import Decision, Decisions, Thresholds, Word
from fluxlab.indexes.migration import Step
from fluxlab.indexes.script import apply_script
from fluxlab.indexes.sets import Totals

#: What each word tells to do, in the order in which they are shown.
MEANINGS: Mapping[Word, str] = {
    "keep": "worth its place",
    "unclear": "stays until somebody measures longer",
    "replace": "goes, and an index that stays serves its queries",
    "drop": "goes, and nobody needs it served",
}
_HEAD = """\
\\set ON_ERROR_STOP on
set client_min_messages = warning;    -- what is gone already needs no notice
set statement_timeout = 0;
-- CONCURRENTLY waits for older transactions to end, and is in nobody's way.
set lock_timeout = '300s';
"""


def as_csv(decisions: Decisions) -> str:
    """Return one line per index, with every column of `Decisions.frame`."""
    return decisions.frame().to_csv(index=False)


def as_markdown(decisions: Decisions, totals: Mapping[str, Totals]) -> str:
    """Return the decisions as a page for a review: counts, the sets, then every index."""
    return "\n".join([*_markdown(decisions, totals), ""])


def as_migration(decisions: Decisions) -> tuple[str, str]:
    """Return two scripts for psql: one drops all that go, the other builds them again.

    Both work while others read and write, may be run again where they were interrupted,
    and say of each index why. What is unclear is not touched.
    """
    goes = decisions.goes
    return _up(decisions, goes), _down(goes)


def rule_of(limits: Thresholds) -> str:
    """Return the rule with its thresholds, as a sentence."""
    return (
        "An index stays when it saves "
        f"{show_ms(limits.least_saved_ms)} in 1,000 requests and {limits.least_return:g}"
        "× what its writes take longer, or when one statement would wait "
        f"{show_ms(limits.least_wait_ms)} longer without it; and as long as the clock "
        "cannot rule that out."
    )


def _markdown(decisions: Decisions, totals: Mapping[str, Totals]) -> Iterator[str]:
    yield f"# {len(decisions.rows)} indexes: {len(decisions.goes)} go\n"
    yield f"{rule_of(decisions.limits)} Amounts are per 1,000 requests.\n"
    yield from _totals(totals)
    for word, meaning in MEANINGS.items():
        rows = decisions.of(word)
        if rows:
            yield f"\n## {word}: {len(rows)}, {meaning}\n"
            yield from _rows(sorted(rows, key=_rank))


def _totals(totals: Mapping[str, Totals]) -> Iterator[str]:
    heads = ("set", "indexes", "size", "reads", "blocks read", "writes", "WAL", "HOT")
    yield _line(heads)
    yield _line(["---", *["---:"] * (len(heads) - 1)])
    for one in totals.values():
        bound = "≥ " if one.cut_off else ""
        error = f" ± {show_ms(one.write_error_ms)}" if one.write_error_ms else ""
        yield _line(
            (
                one.name,
                str(one.indexes),
                show_bytes(one.index_bytes),
                bound + show_ms(one.read_ms),
                f"{bound}{one.read_blocks:,.0f}",
                show_ms(one.write_ms) + error,
                show_bytes(one.wal_bytes),
                f"{one.hot_share:.0%}",
            )
        )
    for name in dict.fromkeys(name for one in totals.values() for name in one.unmeasured):
        yield f"\nNot measured: {name}."


def _rows(rows: Sequence[Decision]) -> Iterator[str]:
    heads = (
        "index",
        "table",
        "helps",
        "saves",
        "WAL of 1,000 writes",
        "HOT lost",
        "size",
        "build",
        "audit",
        "why",
    )
    yield _line(heads)
    yield _line(["---", "---", *["---:"] * 6, "---", "---"])
    for one in rows:
        case = one.case
        yield _line(
            (
                f"`{one.index.name}`",
                one.index.table,
                _helps(one),
                show_saved(one),
                "" if one.wal_of_writes is None else show_bytes(one.wal_of_writes),
                f"{one.hot_lost:.2g}",
                show_bytes(case.size_bytes),
                show_ms(case.build_ms) if case.build_ms else "",
                ", ".join(f"`{name}`" for name in case.findings),
                one.reason.replace("_", r"\_"),
            )
        )


def _helps(one: Decision) -> str:
    helped = one.case.without.helped if one.case.without else ()
    return f"{len(helped)} ({one.helped_weight:.3g} requests)" if helped else "0"


def show_saved(one: Decision) -> str:
    """Write what an index saves by itself, with its interval where it saves anything."""
    if not one.case.without or not one.saved_ms:
        return "0"
    low, high = one.case.without.saved_between_ms
    start = show_ms(low).removesuffix(" ms")
    between = f"{start} to {show_ms(high)}" if isfinite(high) else f"from {start} ms"
    return f"{show_ms(one.saved_ms)} ({between})"


def _rank(one: Decision) -> tuple[float, str]:
    return -one.case.missed.sure.saved_ms, one.index.name


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _up(decisions: Decisions, goes: Sequence[Decision]) -> str:
    held = decisions.of("unclear")
    lines = [
        f"-- {len(goes)} of {len(decisions.rows)} indexes go.",
        f"-- {rule_of(decisions.limits)}",
        "",
        _HEAD,
    ]
    for one in goes:
        lines += [f"-- {one.reason}", f"{one.index.undo(concurrently=True)};"]
    if held:
        lines += ["", f"-- {len(held)} stay because it is unclear what they are good for:"]
        lines += [f"--   {one.index.name}: {one.reason}" for one in held]
    return "\n".join(lines) + "\n"


def _down(goes: Sequence[Decision]) -> str:
    """Return the script that undoes it; nothing to build is an empty script, and valid."""
    if not goes:
        return _HEAD
    steps = [Step(number, one.index, one.reason) for number, one in enumerate(goes, 1)]
    return apply_script(steps, concurrently=True)


def compared(totals: Mapping[str, Totals]) -> tuple[tuple[str, str, str], ...]:
    """Return what the kept set takes against the base and against all, amount by amount."""
    kept, base, whole = totals["kept"], totals["base"], totals["all"]
    return tuple(
        (
            label,
            show_change(getattr(kept, name), getattr(base, name)),
            show_change(getattr(kept, name), getattr(whole, name)),
        )
        for label, name in (
            ("indexes", "indexes"),
            ("size", "index_bytes"),
            ("time of reads", "read_ms"),
            ("blocks of reads", "read_blocks"),
            ("time of writes", "write_ms"),
            ("time together", "time_ms"),
            ("WAL", "wal_bytes"),
        )
    )
