"""Steps as a script for psql, which may be run any number of times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fluxlab.indexes.migration import Step

_HEAD = """\
\\set ON_ERROR_STOP on
set client_min_messages = warning;    -- what is there already needs no notice
set statement_timeout = 0;
{waiting}
"""
_IN_PLACE = """\
-- Who waits for a lock on a table makes everybody wait who comes after.
set lock_timeout = '{milliseconds}ms';"""
#: `fluxlab.indexes.patience` has the same.
_CONCURRENTLY = """\
-- A concurrent build waits for older transactions to end, and is in nobody's way.
set lock_timeout = '300s';"""
#: `if not exists` takes a broken index for a whole one, so broken ones go first.
_REPAIR = """\
-- What a failed concurrent build has left behind.
select format('drop index {how}%I.%I', namespace.nspname, index_class.relname)
from (
    values
        {wanted}
) as wanted (index_name, table_name)
join pg_index as index
    on index.indrelid = to_regclass(wanted.table_name)
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_namespace as namespace
    on namespace.oid = index_class.relnamespace
where not index.indisvalid
    and regexp_replace(index_class.relname, '_cc(new|old)\\d*$', '') = wanted.index_name
\\gexec
"""


def apply_script(
    steps: Sequence[Step], *, concurrently: bool = False, lock_timeout_s: float = 2.0
) -> str:
    """Return a script that builds what is missing or broken.

    In place it is one transaction: all or nothing. With `concurrently` there is none, and
    each index is kept. An index of the same name and another definition goes unnoticed,
    because SQL has no way to compare them.
    """
    body = list(_creations(steps, is_concurrent=concurrently))
    analysed = dict.fromkeys(
        step.index.relation
        for step in steps
        if any(key.is_expression for key in step.index.keys)
    )
    if analysed:
        body.append("-- The planner has no statistics on a new expression before this.")
        body += [f"analyze {relation};" for relation in analysed]
    return _script([_repair(steps, concurrently), *body], concurrently, lock_timeout_s)


def undo_script(
    steps: Sequence[Step], *, concurrently: bool = False, lock_timeout_s: float = 2.0
) -> str:
    """Return a script that drops every index of the steps, the last one first."""
    body = [f"{one.index.undo(concurrently=concurrently)};" for one in reversed(steps)]
    return _script([_repair(steps, concurrently), *body], concurrently, lock_timeout_s)


def _creations(steps: Sequence[Step], *, is_concurrent: bool) -> Iterator[str]:
    for step in steps:
        if step.reason:
            yield f"-- {step.reason}"
        yield f"{step.index.ddl(concurrently=is_concurrent, if_not_exists=True)};"


def _repair(steps: Sequence[Step], is_concurrent: bool) -> str:
    pairs = [
        f"({_literal(step.index.name)}, {_literal(step.index.relation)})" for step in steps
    ]
    how = "concurrently " if is_concurrent else ""
    return _REPAIR.format(how=how, wanted=",\n        ".join(pairs))


def _script(body: Sequence[str], is_concurrent: bool, lock_timeout_s: float) -> str:
    waiting = _CONCURRENTLY if is_concurrent else _IN_PLACE
    head = _HEAD.format(waiting=waiting.format(milliseconds=round(lock_timeout_s * 1000)))
    lines = [head, *body] if is_concurrent else [head, "begin;\n", *body, "\ncommit;"]
    return "\n".join(lines) + "\n"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
