"""The tables that stand beside the charts: values of the lab as pandas frames.

Times are medians in ms, sizes in MiB, blocks of 8 kB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from fluxlab.book.claims import AuditClaim, LatencyClaim
from fluxlab.book.ledger import Ledger
from fluxlab.book.verdicts import WORDS
from fluxlab.indexes.catalog import Catalog, ForeignKeyFacts
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.workload.change import Change
from fluxlab.workload.compare import Comparison
from fluxlab.workload.sample import show_median, show_ms
from fluxlab.workload.scaling import Scaling, show_rows
from fluxlab.workload.store import State


def servers(server: PostgresServer, cache: RedisServer | None) -> pd.DataFrame:
    """Return the two servers: version, and who started them."""
    rows = [("PostgreSQL", server.version_text, _started(server.is_ours, server.origin))]
    if cache is not None:
        started = _started(cache.is_ours, cache.origin)
        rows.append(("Redis protocol", str(cache.version), started))
    return _named(pd.DataFrame(rows, columns=["server", "version", "started"]), "server")


def _started(is_ours: bool, origin: str) -> str:
    return f"by fluxlab ({origin})" if is_ours else "by somebody else"


def running(state: State) -> pd.DataFrame:
    """Return what a Run records: the version, the machine, every setting we chose."""
    return _named(pd.DataFrame(state.facts, columns=["what", "value"]), "what")


def sizes(before: Catalog, after: Catalog) -> pd.DataFrame:
    """Return rows and weight per table, with its indexes before and after."""
    old, new = before.table_frame(), after.table_frame()
    mib = 2**20
    frame = pd.DataFrame(
        {
            "rows": old["rows"].map("{:,}".format),
            "columns": old["columns"],
            "table MiB": old["table_bytes"] / mib,
            "indexes before": old["indexes"],
            "after": new["indexes"],
            "index MiB before": old["index_bytes"] / mib,
            "MiB after": new["index_bytes"] / mib,
        }
    ).loc[old["rows"].sort_values(ascending=False).index]
    return _named(frame.reset_index(names="table"), "table")


def foreign_keys(before: Catalog, after: Catalog) -> pd.DataFrame:
    """Return the foreign keys that lack an index in one of the two states."""
    later = {key.name: key for key in after.foreign_keys}
    frame = pd.DataFrame(
        {
            "foreign key": f"{key.table_name}.{', '.join(key.columns)}",
            "refers to": key.referenced_table,
            "on delete": "cascade" if key.cascades else "no action",
            "before": _served(key),
            "after": _served(later[key.name]),
        }
        for key in before.foreign_keys
        if not (key.supporting_index and later[key.name].supporting_index)
    )
    return _named(frame, "foreign key")


def audited(claims: Sequence[AuditClaim], before: Catalog, after: Catalog) -> pd.DataFrame:
    """Return the columns in index keys per table, as reported and as they are."""
    frame = pd.DataFrame(
        {
            "table": claim.table,
            "report": claim.columns,
            "before": len(before.indexed_columns(claim.table)),
            "after": len(after.indexed_columns(claim.table)),
        }
        for claim in claims
    )
    frame["report − after"] = frame["report"] - frame["after"]
    return _named(frame, "table")


def latency(claims: Iterable[LatencyClaim], comparison: Comparison) -> pd.DataFrame:
    """Return the report's latency rows: expected, and measured per parameter class."""
    frame = pd.DataFrame(
        {
            "report's row": claim.name,
            "expected": f"{claim.before_ms:g} → {claim.after_ms:g} ms",
            "class": change.of_class,
            "before": str(change.before.sample),
            "after": str(change.after.sample),
            "change": change.sentence,
            "blocks": _blocks(change),
        }
        for claim in claims
        for change in comparison
        if change.query == claim.query
    )
    return _named(frame, "report's row")


def changes(rows: Iterable[Change]) -> pd.DataFrame:
    """Return Changes as a table, in the order given."""
    columns = ["query", "class", "before", "after", "change", "blocks", "plan"]
    frame = pd.DataFrame(
        (
            (
                change.query,
                change.of_class,
                str(change.before.sample),
                str(change.after.sample),
                change.sentence,
                _blocks(change),
                "new" if change.has_new_plan else "same",
            )
            for change in rows
        ),
        columns=columns,
    )
    return _named(frame, "query")


def outcomes(comparison: Comparison) -> pd.DataFrame:
    """Return how many pairs got faster, slower, stayed or are unclear, per class."""
    frame = comparison.frame()
    table = pd.crosstab(frame["class"], frame["outcome"], margins=True, margins_name="all")
    classes = [
        name for name in ("hot", "typical", "rare", "absent", "all") if name in table.index
    ]
    words = [
        name for name in ("faster", "slower", "same", "unclear", "all") if name in table
    ]
    return table.loc[classes, words].rename_axis(index=None, columns="class")


def _blocks(change: Change) -> str:
    return f"{change.before.plan.blocks:,} → {change.after.plan.blocks:,}"


def _named(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Make a column the row labels, named in the head row instead of one of its own."""
    return frame.set_index(column).rename_axis(index=None, columns=column)


def _served(key: ForeignKeyFacts) -> str:
    return key.supporting_index or "no index"


def words(ledger: Ledger) -> pd.DataFrame:
    """Return how many Verdicts of each word every section of the report has."""
    frame = ledger.frame()
    table = pd.crosstab(
        frame["section"], frame["verdict"], margins=True, margins_name="all"
    )
    sections = [*dict.fromkeys(ledger.section(one) for one in ledger), "all"]
    known = [word for word in (*WORDS, "all") if word in table]
    return table.loc[sections, known].rename_axis(index=None, columns="section")


def waiting(ledger: Ledger) -> pd.DataFrame:
    """Return how many claims of each section wait for which lab."""
    rest = ledger.frame().query("verdict == 'not measured yet'")
    table = pd.crosstab(
        rest["section"], rest["judged in"], margins=True, margins_name="all"
    )
    sections = [*dict.fromkeys(rest["section"]), "all"]
    return table.loc[sections].rename_axis(index=None, columns="section")


def scaling(found: Scaling) -> pd.DataFrame:
    """Return the latency rows over the sizes: before → after, and where before is true.

    The last column is the amount of data at which the median before the sprint is what
    the report says, with a 95 % interval.
    """
    rows = []
    for growth in found.growths:
        row = {
            "report's row": growth.name,
            "class": growth.of_class,
            "report": show_ms(growth.expected_ms),
        }
        pairs = zip(growth.before.points, growth.after.points, strict=True)
        row |= {
            f"{show_rows(before.rows)} rows": (
                f"{show_median(before.sample)} → {show_median(after.sample)}"
            )
            for before, after in pairs
        }
        rows.append(row | {"before is as reported": growth.sentence})
    sizes = [f"{show_rows(size)} rows" for _, size in found.sizes]
    columns = ["report's row", "class", "report", *sizes, "before is as reported"]
    return _named(pd.DataFrame(rows, columns=columns).fillna(""), "report's row")
