"""Rules on what stands behind an index: rows spread over the table, dead rows, visits."""

from __future__ import annotations

from fluxlab.plans.plan import PlanNode
from fluxlab.plans.rules.expressions import columns_of, quoted, terms_of
from fluxlab.plans.rules.filters import LEAST_REMOVED
from fluxlab.plans.rules.index_scans import (
    INDEX_SCANS,
    LEAST_BLOCKS,
    amount_of,
    blocks_per_row,
    expects_blocks,
    filters_most,
    has_wrong_order,
    index_of,
    is_dear,
    is_read_whole,
    is_skipping,
    searches_of,
    terms_in,
    what_it_reads,
)
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import Said, counted, matters, percent, rule
from fluxlab.plans.surroundings import KnownTable

#: Rows that nobody sees explain it from here on, and hardly anything else does.
AMPLIFIED = 10
#: What an index of any size reads to find one place in itself.
DESCENT_BLOCKS = 4
#: Of a table: from here on its blocks are read more than once by way of an index.
LARGE_PART = 0.2
#: By way of the index, as a multiple of the blocks that the table has.
TWICE_THE_TABLE = 2.0
#: A block for nearly every row, and an order of rows that the index does not share.
SCATTERED = 0.8
UNCORRELATED = 0.2
#: Fewer rows per search than this have no order to speak of.
LEAST_ROWS = 100
#: Of the rows of an index-only scan: visits to the table that it was made to avoid.
FETCHED = 0.1
#: What an index can carry along before it is a second table.
MOST_INCLUDED = 2
NARROW_BYTES = 16
#: Of the live rows; autovacuum comes at 0.2 by default.
MANY_DEAD = 0.2
#: One entry of a bitmap in bytes, with its place in the hash table; see tidbitmap.c.
BITMAP_ENTRY_BYTES = 64
#: Indexes that answer "perhaps", so that a recheck is their way to work.
INEXACT = ("gin", "gist", "brin", "spgist", "bloom")

_OR_READ_WHOLE = (
    ". Or the index begins with a column that the condition does not name, and all of it "
    "is read."
)
_OR_ANOTHER_INDEX = ", or the index has to begin with what is asked for."


@rule("R12", "An index that leads to a large part of the table")
def _large_part(seen: Seen) -> Said | None:
    node, table = seen.node, seen.table
    if not _is_large_part(seen) or table is None or not matters(seen):
        return None
    share = node.rows_read / table.rows
    return Said(
        f"By way of {node.index} the scan touches {counted(node.own_blocks, 'block')} to "
        f"read {percent(min(1.0, share))} of {node.relation}, which has "
        f"{counted(table.pages, 'block')} in all.",
        "Reading the table from end to end would touch each block once, with a sort where "
        "the order is needed. See what keeps the planner from it: a switched-off scan, a "
        "random_page_cost that is too low, old statistics. It is right where only the "
        "first rows are fetched. Another index on the same column does not help.",
        amount_of(seen) | {"table_blocks": table.pages, "share_of_table": share},
        wasted=1 - table.pages / node.own_blocks,
        confidence="sure",
    )


def _is_large_part(seen: Seen) -> bool:
    node, table = seen.node, seen.table
    if node.kind != "Index Scan" or table is None or not table.rows or not table.pages:
        return False
    # In the inner side of a join the sum over its loops says nothing of one of them.
    is_once = node.loops <= node.processes
    is_twice = node.own_blocks > TWICE_THE_TABLE * table.pages
    return is_once and node.rows_read > LARGE_PART * table.rows and is_twice


@rule("R13", "Rows scattered over the table")
def _scattered(seen: Seen) -> Said | None:
    node, table = seen.node, seen.table
    if node.kind != "Index Scan" or table is None or not matters(seen):
        return None
    column = _first_column(seen)
    correlation = table.columns[column].correlation if column in table.columns else None
    is_spread = SCATTERED <= blocks_per_row(seen) <= AMPLIFIED
    if correlation is None or not is_spread or abs(correlation) >= UNCORRELATED:
        return None
    if node.rows_read < LEAST_ROWS * node.loops or _is_large_part(seen):
        return None
    if _carries_too_little(seen) or filters_most(seen):
        return None  # R15 and R07 avoid the visits instead of ordering them
    return Said(
        f"{what_it_reads(seen)}: rows with the same {column} lie all over {node.relation} "
        f"(correlation {correlation:.2f}), and nearly each is in a block of its own.",
        "Rewriting the table in the order of the index puts them together (CLUSTER). It "
        "locks the table, later writes undo it, and other queries lose their order. Where "
        "few columns are asked for, let the index carry them (INCLUDE). VACUUM does not "
        "help, nor does BRIN.",
        amount_of(seen) | {"correlation": correlation},
        wasted=1 - min(1.0, table.pages / max(1.0, table.rows) / blocks_per_row(seen)),
        confidence="sure",
        fix=f"cluster {quoted(table.name)} using {quoted(str(node.index))};\n"
        f"analyze {quoted(table.name)};",
    )


def _first_column(seen: Seen) -> str:
    """Return the first column of the condition, by which the index found the rows."""
    terms = terms_in(seen)
    return terms[0].columns[0] if terms and terms[0].columns else ""


@rule("R14", "An index-only scan that visits the table")
def _heap_fetches(seen: Seen) -> Said | None:
    node = seen.node
    fetches = node["Heap Fetches"]
    if node.kind != "Index Only Scan" or not matters(seen):
        return None
    if fetches < LEAST_ROWS or fetches <= FETCHED * node.rows_read:
        return None
    share = fetches / max(1.0, node.rows_read, fetches)
    return Said(
        f"The index has all that is asked for, and yet {counted(fetches, 'row')} of "
        f"{node.relation} were looked up: only VACUUM writes down which blocks hold no row "
        "that somebody may not see yet.",
        "Run VACUUM; where this comes back, let autovacuum come sooner "
        "(autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor). ANALYZE "
        "and REINDEX do not help. A transaction that stays open keeps VACUUM from it.",
        {"heap_fetches": fetches, "rows": node.rows_read},
        wasted=share,
        confidence="sure" if seen.table else "likely",
        fix=f"vacuum {quoted(str(node.relation))};",
    )


@rule("R15", "An index that nearly has it all")
def _nearly_covering(seen: Seen) -> Said | None:
    node = seen.node
    missing = _carries_too_little(seen)
    if not missing or not matters(seen):
        return None
    known = index_of(seen)
    keys = known.keys if known else tuple(map(quoted, _asked(seen)))
    included = (*(known.included if known else ()), *map(quoted, missing))
    where = f" where {known.predicate}" if known and known.predicate else ""
    names = " and ".join(missing)
    return Said(
        f"{counted(node.rows_read, 'row')} of {node.relation} were looked up only for "
        f"{names}, which {node.index} does not hold.",
        f"Try an index that carries {names} along (INCLUDE), and drop this one. An index "
        f"on {names} alone does not help. Not where {names} changes often: every change "
        "would have to be written there too.",
        amount_of(seen) | {"missing": ", ".join(missing)},
        wasted=min(1.0, node.rows_read / node.own_blocks),
        confidence="sure" if known else "possible",
        fix=f"create index on {quoted(str(node.relation))} ({', '.join(keys)}) "
        f"include ({', '.join(included)}){where};",
    )


def _carries_too_little(seen: Seen) -> tuple[str, ...]:
    """Return the few narrow columns for which each row is looked up; VERBOSE names them."""
    node, table, known = seen.node, seen.table, index_of(seen)
    output = node.texts("Output")
    if node.kind != "Index Scan" or not output or node.rows_read < LEAST_ROWS:
        return ()
    if node.own_blocks < LEAST_BLOCKS or filters_most(seen):
        return ()
    # A second copy of what keeps rows unique is a high price for one block a row.
    if known is not None and (known.method != "btree" or known.is_unique):
        return ()
    texts = (*output, *node.texts("Filter"))
    needed = [name for text in texts for name in columns_of(text, node.alias)]
    held = {key.strip('"') for key in (*known.keys, *known.included)} if known else set()
    held |= set(_asked(seen))
    missing = tuple(dict.fromkeys(name for name in needed if name not in held))
    is_narrow = all(_width(table, name) <= NARROW_BYTES for name in missing)
    return missing if len(missing) <= MOST_INCLUDED and is_narrow else ()


def _asked(seen: Seen) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for term in terms_in(seen) for name in term.columns))


def _width(table: KnownTable | None, name: str) -> float:
    """Return what a column takes in bytes on average; 0 where nobody knows."""
    column = table.columns.get(name) if table else None
    return (column.mean_width if column else None) or 0


@rule("R16", "A bitmap too coarse to name rows")
def _lossy_bitmap(seen: Seen) -> Said | None:
    node = seen.node
    if node.kind != "Bitmap Heap Scan" or not matters(seen):
        return None
    lossy, exact = node["Lossy Heap Blocks"], node["Exact Heap Blocks"]
    rechecked = round(node["Rows Removed by Index Recheck"] * node.loops)
    evidence = {"lossy_blocks": lossy, "exact_blocks": exact, "rows_rechecked": rechecked}
    methods = _methods(seen)
    is_by_design = methods <= set(INEXACT) if methods else lossy == 0 or exact == 0
    if is_by_design:
        return _recheck_by_design(node, rechecked, evidence)
    if not lossy:
        return None
    # Twice, because the hash table doubles before it is full.
    needed = 2 * BITMAP_ENTRY_BYTES * (lossy + exact)
    size_mb = 1 << max(0, int(needed // (1 << 20)).bit_length())
    return Said(
        f"work_mem had no room to remember each row: of {counted(lossy, 'block')} the "
        f"bitmap kept only the number, and {counted(rechecked, 'row')} that had not been "
        "asked for were tested again.",
        "Give this statement more work_mem. Another index does not help, and a setting for "
        "the whole server is multiplied by every sort and hash of every session.",
        evidence,
        wasted=rechecked / max(1, rechecked + node.rows_kept),
        confidence="sure" if methods else "likely",
        fix=f"set work_mem = '{size_mb}MB';",
    )


def _methods(seen: Seen) -> set[str]:
    """Return the kinds of the indexes below, where they are known."""
    below = (one.index for one in seen.node.walk() if one.index)
    known = [index_of(seen, name) for name in below]
    return {one.method for one in known if one}


def _recheck_by_design(
    node: PlanNode, rechecked: int, evidence: dict[str, float]
) -> Said | None:
    if rechecked < max(LEAST_REMOVED, node.rows_kept):
        return None
    return Said(
        f"{counted(rechecked, 'row')} were looked at and not meant: this kind of index "
        "answers perhaps, and the table decides.",
        "That is how trigram, GiST and BRIN indexes work, and more work_mem changes "
        "nothing. A longer pattern, smaller BRIN ranges (pages_per_range) or a B-tree, "
        "where one can answer, leave fewer rows to look at.",
        evidence,
        confidence="possible",
        is_note=True,
    )


@rule("R44", "Far more blocks than rows")
def _amplified(seen: Seen) -> Said | None:
    if not _is_amplified(seen) or _dead_share(seen) > MANY_DEAD:
        return None
    node = seen.node
    # Nobody knows the index, and its price leaves open whether R08 is the reason.
    is_unclear = index_of(seen) is None and expects_blocks(seen) is None
    return Said(
        f"{what_it_reads(seen)}, where a block or two for each would do: what it passes on "
        "the way is mostly what nobody sees any more, or values stored outside the row"
        f"{_OR_READ_WHOLE if is_unclear else '.'}",
        "Deleted and updated rows stay in table and index until VACUUM: run it. Where it "
        "changes nothing, a transaction may be open since before, or long values are "
        f"fetched (TOAST){_OR_ANOTHER_INDEX if is_unclear else '.'} ANALYZE does not help.",
        amount_of(seen),
        wasted=1 - min(1.0, node.rows_read / node.own_blocks),
        confidence="possible" if seen.table or is_unclear else "likely",
        fix=f"vacuum {quoted(str(node.relation))};",
    )


@rule("R45", "Dead rows on the way")
def _dead_rows(seen: Seen) -> Said | None:
    table = seen.table
    if table is None or not _is_amplified(seen) or _dead_share(seen) <= MANY_DEAD:
        return None
    node = seen.node
    return Said(
        f"{what_it_reads(seen)}: {node.relation} has "
        f"{counted(table.dead_rows, 'dead row')} beside {table.live_rows:,} live ones, and "
        "the scan passes them.",
        "Run VACUUM; where this comes back, let autovacuum come sooner for this table. "
        "ANALYZE does not help. A transaction that stays open keeps VACUUM from it.",
        amount_of(seen) | {"dead_rows": table.dead_rows, "live_rows": table.live_rows},
        wasted=1 - min(1.0, node.rows_read / node.own_blocks),
        confidence="sure",
        fix=f"vacuum {quoted(table.name)};",
    )


def _is_amplified(seen: Seen) -> bool:
    """Whether an index scan touches many blocks that no order of columns explains."""
    node = seen.node
    if node.kind not in INDEX_SCANS or not node.relation or not matters(seen):
        return False
    beyond = node.own_blocks - DESCENT_BLOCKS * searches_of(node)
    if node.own_blocks < LEAST_BLOCKS or beyond <= AMPLIFIED * max(1, node.rows_read):
        return False
    is_counted = "Index Searches" in node.facts
    if not is_counted and any(term.operator == "= any" for term in terms_in(seen)):
        return False  # before 18 nobody says how often a list made it search
    is_explained = is_read_whole(seen) or is_skipping(seen)
    if is_explained or (is_dear(seen) and has_wrong_order(seen)):
        return False
    return not terms_of(node.text("Filter")) or node.rows_removed <= node.rows_kept


def _dead_share(seen: Seen) -> float:
    table = seen.table
    return table.dead_rows / max(1, table.live_rows) if table else 0.0


RULES: tuple[Rule, ...] = (
    _large_part,
    _scattered,
    _heap_fetches,
    _nearly_covering,
    _lossy_bitmap,
    _amplified,
    _dead_rows,
)
