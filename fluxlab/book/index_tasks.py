"""Exercises that are tried: an index to build, or a statement to write otherwise.

An answer runs in a Sandbox and is rolled back. What it has to reach, the par, is what a
model answer reaches there, with a little room: it holds at every size of the data. What
is demanded is a list of Demands; a chapter adds its own to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from fluxlab.book.lessons import Exercise, Question, Reply, Solution, Source, asked, listed
from fluxlab.errors import FluxlabError
from fluxlab.indexes.attempts import Attempt, try_index, try_rewrite
from fluxlab.indexes.sandbox import Asked, Sandbox
from fluxlab.plans.plan import Plan
from fluxlab.plans.statement import read_statement
from fluxlab.plans.views.words import count
from fluxlab.workload.catalogue import number_parameters

#: An answer may touch so many more blocks than the model, or weigh so much more.
_ROOM = 1.25
#: Of few blocks a quarter is nothing.
_FEW_BLOCKS = 2

#: What is wrong with an attempt, as a sentence, or None; the second is the par.
Check = Callable[[Attempt, Attempt], str | None]


@dataclass(frozen=True, slots=True)
class Demand:
    """Something that an answer has to reach: how it is said, and how it is checked."""

    say: Callable[[Attempt], str]
    check: Check


@dataclass(frozen=True, slots=True)
class Task:
    """A Query with values of a class, the model answer, and what tempts to a wrong one.

    `setup` is SQL that runs before everything, as if it had always been so. `others` are
    tempting answers; what is wrong with them is measured. With `writes` the WAL records
    of these Queries, by name and class, are counted too. `edges` is SQL, by what it
    stands for, that shadows a table with rows at which a wrong condition shows.
    """

    query: str
    of_class: str
    model: str
    why: str
    others: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    demands: tuple[Demand, ...] = ()
    writes: Mapping[str, str] = field(default_factory=dict)
    edges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class _Tried(Exercise):
    """What both kinds share: the par, the demands, the solution."""

    def __init__(
        self, source: Source, sandbox: Sandbox, question: Question, task: Task
    ) -> None:
        super().__init__(question)
        self._source = source
        self._sandbox = sandbox
        self._task = task

    @cached_property
    def par(self) -> Attempt:
        """What the model answer reaches, here and now."""
        return self._try(self._task.model)

    @property
    def question(self) -> Question:
        """What is asked, and what an answer has to reach."""
        goals = [demand.say(self.par) for demand in self._task.demands]
        of_class = f"With the {self._task.of_class} values it has to"
        return replace(self._question, goal=f"{of_class} {listed(goals)}.")

    def solution(self) -> Solution:
        """Return the model answer, and what is wrong with each tempting one."""
        others = tuple((sql, self._judge(sql).text) for sql in self._task.others)
        reached = _reached(self.par)
        text = f"{self._task.why} {reached}"
        return Solution(text, self._task.model, others, self.par.after)

    def _judge(self, answer: object) -> Reply:
        par = self.par
        if not isinstance(answer, str):
            return Reply(False, "Answer with SQL, as a text in quotes.")
        try:
            attempt = self._try(answer)
        except FluxlabError as error:
            return Reply(False, str(error))
        for demand in self._task.demands:
            if fault := demand.check(attempt, par):
                return Reply(False, fault, attempt.after)
        return Reply(True, _reached(attempt), attempt.after)

    def _try(self, sql: str) -> Attempt:
        """Try an answer in the copy; each kind of task does it in its own way."""
        raise NotImplementedError

    def _asked(self) -> Asked:
        return asked(self._source, self._task.query, self._task.of_class)


class IndexTask(_Tried):
    """An index to build: `check("create index on …")`."""

    def _try(self, sql: str) -> Attempt:
        writes = {
            name: asked(self._source, name, of_class)
            for name, of_class in self._task.writes.items()
        }
        return try_index(
            self._sandbox, sql, self._asked(), setup=self._task.setup, writes=writes
        )


class RewriteTask(_Tried):
    """A statement to write otherwise: it must return the same rows, for all classes."""

    _classes = ("hot", "typical", "rare", "absent")

    def _try(self, sql: str) -> Attempt:
        before, after = self._asked(), self._as_asked(sql, self._task.of_class)
        for where, setup in {"": self._task.setup, **self._task.edges}.items():
            for of_class in self._classes:
                self._compare(sql, of_class, where, setup)
        return try_rewrite(self._sandbox, sql, before, after, setup=self._task.setup)

    def _compare(self, sql: str, of_class: str, where: str, setup: Sequence[str]) -> None:
        old = self._rows(asked(self._source, self._task.query, of_class), setup)
        new = self._rows(self._as_asked(sql, of_class), setup)
        if old == new:
            return
        missing, extra = (old - new).total(), (new - old).total()
        parts = [f"{count(missing, 'row')} too few"] * bool(missing)
        parts += [f"{count(extra, 'row')} that the query does not return"] * bool(extra)
        raise FluxlabError(
            f"{where or 'It'} is not the same answer: with the {of_class} values it has "
            f"{listed(parts)}.",
            "The statement may be another one, its rows and columns may not.",
        )

    def _rows(self, one: Asked, setup: Sequence[str]) -> Counter[str]:
        return Counter(map(repr, self._sandbox.rows(one, setup)))

    def _as_asked(self, sql: str, of_class: str) -> Asked:
        """Return a statement of the reader with the values of the Query's parameters."""
        query = self._source.workload.find(self._task.query)
        drawn = self._source.parameters(self._task.query, of_class)
        values = dict(zip(query.names, drawn.values, strict=True))
        statement, names = number_parameters(sql)
        if unknown := [name for name in names if name not in values]:
            raise FluxlabError(
                f"There is no parameter :{unknown[0]}.",
                f"The query has {listed([f':{name}' for name in values])}.",
            )
        try:
            is_write = read_statement(statement).is_write
        except FluxlabError as error:
            raise FluxlabError(error.what, "Correct it.") from None
        if is_write:
            raise FluxlabError("This statement writes.", "Write it as one select.")
        return Asked(statement, tuple(values[name] for name in names))


def fewer_blocks(room: float = _ROOM) -> Demand:
    """Demand that the statement touches hardly more blocks than with the model."""

    def most(par: Attempt) -> int:
        return max(par.after.blocks + _FEW_BLOCKS, round(par.after.blocks * room))

    def check(one: Attempt, par: Attempt) -> str | None:
        if one.after.blocks <= most(par):
            return None
        return (
            f"{_what(one)} touches {count(one.after.blocks, 'block')} instead of "
            f"{one.before.blocks:,}, and {most(par):,} are enough. {_why(one.after)}"
        )

    return Demand(lambda par: f"touch at most {count(most(par), 'block')}", check)


def no_wasted_rows(room: float = _ROOM) -> Demand:
    """Demand that hardly more rows are read than with the model."""

    def most(par: Attempt) -> int:
        return max(par.after.rows_kept, round(par.after.rows_read * room))

    def check(one: Attempt, par: Attempt) -> str | None:
        if one.after.rows_read <= most(par):
            return None
        rows = f"{count(one.after.rows_read, 'row')} to return {one.after.rows_kept:,}"
        return f"{_what(one)} reads {rows}. {_why(one.after)}"

    return Demand(lambda par: f"read at most {count(most(par), 'row')}", check)


def is_used() -> Demand:
    """Demand that the plan reads the index that was built."""

    def check(one: Attempt, par: Attempt) -> str | None:
        if one.is_used:
            return None
        tables = {node.relation for node in one.before.nodes if node.relation}
        if one.built and one.built.table not in tables:
            return (
                f"Your index is on {one.built.table}, and the statement reads "
                f"{listed(sorted(tables))}."
            )
        read = listed(one.after.indexes) or "the whole table"
        return (
            f"The planner does not take your index: it still reads {read}. It takes one "
            "only where the condition implies the predicate of the index and names its "
            "first columns, and where it is cheaper."
        )

    return Demand(lambda par: "use your index", check)


def stays_small(room: float = _ROOM) -> Demand:
    """Demand that the index weighs hardly more than the model."""

    def most(par: Attempt) -> float:
        return par.size_bytes * room

    def check(one: Attempt, par: Attempt) -> str | None:
        if one.size_bytes <= most(par):
            return None
        return (
            f"It works, and your index weighs {_kilobytes(one.size_bytes)}; "
            f"{_kilobytes(most(par))} are enough. Which rows and columns does this "
            "statement never look at?"
        )

    return Demand(lambda par: f"weigh at most {_kilobytes(most(par))}", check)


def few_records(more: int = 0) -> Demand:
    """Demand that writes cost hardly more WAL records than with the model."""

    def check(one: Attempt, par: Attempt) -> str | None:
        if one.records_more <= par.records_more + more:
            return None
        cost = f"{count(one.records_more, 'WAL record')} more"
        return f"It works, and the writes cost {cost}; {par.records_more:,} are enough."

    return Demand(
        lambda par: f"cost at most {count(par.records_more + more, 'WAL record')} more",
        check,
    )


def _what(one: Attempt) -> str:
    return "With your index the statement" if one.built else "Your statement"


def _why(plan: Plan) -> str:
    """Say what in a plan is still too much, in one sentence."""
    for node in plan.nodes:
        if node.kind == "Seq Scan":
            return f"It still reads all of {node.relation}."
    wasteful = max(plan.nodes, key=lambda node: node.rows_removed)
    if wasteful.rows_removed > plan.rows_kept:
        removed = count(wasteful.rows_removed, "row")
        return f"{wasteful.label} finds {removed} that its filter throws away."
    for node in plan.nodes:
        if node.kind == "Sort":
            below = sum(one.rows_kept for one in node.children)
            return f"It still sorts {count(below, 'row')}, and reads them all for that."
    most = max(plan.nodes, key=lambda node: node.own_blocks)
    return f"{most.label} touches most of them."


def _reached(one: Attempt) -> str:
    rows = f"{count(one.after.rows_read, 'row')} read for {one.after.rows_kept:,}"
    blocks = f"{one.before.blocks:,} → {count(one.after.blocks, 'block')}"
    parts = [rows, blocks]
    if one.built:
        parts.append(f"an index of {_kilobytes(one.size_bytes)}")
    if one.records_before:
        parts.append(f"{count(one.records_more, 'WAL record')} more")
    return f"{', '.join(parts)}."


def _kilobytes(size_bytes: float) -> str:
    return f"{size_bytes / 1024:,.0f} kB"
