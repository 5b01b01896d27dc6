"""Trees of plans made up for comparing, and how their comparison is counted."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from plan_samples import node, scan

from fluxlab.plans.differences import Change, PlanDiff


def changes(found: PlanDiff) -> Counter[Change]:
    return Counter(pair.change for pair in found.pairs)


def index_scan(table: str, index: str, **facts: object) -> dict[str, object]:
    return {**scan(table, **facts), "Node Type": "Index Scan", "Index Name": index}


TABLES = st.sampled_from(("users", "files"))
LEAVES = st.one_of(
    st.builds(scan, TABLES, Actual_Rows=st.integers(0, 3)),
    st.builds(index_scan, TABLES, st.sampled_from(("one", "other"))),
    st.just(node("Result")),
)


def grown(
    below: st.SearchStrategy[dict[str, object]],
) -> st.SearchStrategy[dict[str, object]]:
    return st.one_of(
        st.builds(node, st.sampled_from(("Sort", "Limit", "Hash", "Materialize")), below),
        st.builds(node, st.sampled_from(("Hash Join", "Nested Loop")), below, below),
        st.builds(node, st.just("Append"), below, below, below),
    )


TREES = st.recursive(LEAVES, grown, max_leaves=8)
