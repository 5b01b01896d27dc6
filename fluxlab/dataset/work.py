"""Milestones of the projects and the hours spent on them."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fluxlab.dataset.cells import Columns, TableSource
from fluxlab.dataset.columns import (
    DAY,
    clock_times,
    dates,
    decimals,
    integers,
    join,
    take,
    timestamps,
)
from fluxlab.dataset.projects import PLANNING, Projects
from fluxlab.dataset.spread import (
    apportion,
    slots_of,
    starts_of,
)
from fluxlab.dataset.streams import I64, row_range
from fluxlab.dataset.words import MILESTONES, TASKS


class Work(Projects):
    """Parents, states and times of the projects and of what hangs on them."""

    # milestones ----------------------------------------------------------
    @cached_property
    def _milestone_starts(self) -> I64:
        cells = self.context.cells("project_milestones")
        weights = 0.3 + 1.4 * cells.stream("size").uniform(self.rows)
        return starts_of(apportion(self.context.count("project_milestones"), weights))

    def milestone_columns(self, rows: I64) -> Columns:
        """The cells of project_milestones: made with the project, done in their order."""
        cells, starts = self.context.cells("project_milestones"), self._milestone_starts
        project = np.searchsorted(starts, rows, side="right") - 1
        place, count = rows - starts[project], np.diff(starts)[project]
        rates = cells.choice("done")
        status = self.status[project]
        names = self.projects.choice("status").values
        rate = np.array([rates.share(name) for name in names])[status]
        # The first ones are done first; the random offset makes the share come out.
        done = place + cells.stream("done").uniform(project) < rate * count
        created, end = self.created[project], self.end[project]
        step = (
            (end - created) * (place + 0.2 + 0.7 * cells.stream("at").uniform(rows)) / count
        )
        completed = created + np.maximum(step, 0).astype(np.int64)
        length = (self.due_day - self.start_day)[project]
        due = self.start_day[project] + length * (place + 1) // count
        assigned = self.members.pick(project, cells.stream("assigned_to").uniform(rows))
        return {
            "id": cells.ids(rows),
            "project_id": self.projects.id_of(project),
            "name": take(MILESTONES, np.minimum(place, len(MILESTONES) - 1)),
            "description": cells.sentence("description", rows, 7),
            "due_date": dates(due, ~cells.true("due_date_null", rows)),
            "completed_at": timestamps(completed, done),
            "assigned_to": self.people.users.id_of(
                assigned,
                cells.stream("assigned#set").true(rows, cells.share("assigned_to")),
            ),
            "order_index": integers(place),
            "is_required": cells.flag("is_required", rows),
            "created_at": timestamps(created),
            "updated_at": timestamps(np.where(done, completed, created)),
        }

    # hours ---------------------------------------------------------------
    @cached_property
    def _hours(self) -> tuple[I64, I64]:
        """Project and time of every time entry, in time order."""
        cells = self.context.cells("time_entries")
        started = np.where(self.status == PLANNING, 0.05, 1.0)
        weights = started * self.weeks * (0.2 + cells.stream("size").uniform(self.rows))
        project, _ = slots_of(apportion(self.context.count("time_entries"), weights))
        uniform = cells.stream("created_at").uniform(row_range(0, len(project)))
        at = self.context.time.between(self.created[project], self.end[project], uniform)
        order = np.argsort(at, kind="stable")
        return project[order], at[order]

    def time_entry_columns(self, rows: I64) -> Columns:
        """The cells of time_entries."""
        cells = self.context.cells("time_entries")
        project, at = (column[rows] for column in self._hours)
        hours = cells.stream("hours").lognormal(
            rows, cells.share("hours_median"), cells.share("hours_sigma")
        )
        quarters = np.clip(np.round(hours * 4), 1, 40).astype(np.int64)
        begin = 8 * 60 + cells.stream("start_time").below(rows, 22) * 15
        clocked = cells.stream("clocked").true(rows, cells.share("start_time"))
        user = self.members.pick(project, cells.stream("user_id").uniform(rows) ** 2)
        early = self.people.user_created[user] > at
        user = np.where(early, self.manager[project], user)
        rate = 4000 + cells.stream("hourly_rate").below(user, 24) * 500
        task = take(TASKS, cells.stream("task").below(rows, len(TASKS)))
        return {
            "id": cells.ids(rows),
            "user_id": self.people.users.id_of(user),
            "project_id": self.projects.id_of(project),
            "task_description": join(
                task, ": ", cells.sentence("task_description", rows, 4)
            ),
            "hours": decimals(quarters * 25, 5),
            "billable": cells.flag("billable", rows),
            "hourly_rate": decimals(
                rate, 8, cells.stream("rate#set").true(rows, cells.share("hourly_rate"))
            ),
            "date": dates(at // DAY),
            "start_time": clock_times(begin, clocked),
            "end_time": clock_times(begin + quarters * 15, clocked),
            "created_at": timestamps(at),
            "updated_at": timestamps(at),
        }

    def sources(self) -> tuple[TableSource, ...]:
        """The four tables of projects and the hours spent on them."""
        return (
            TableSource("projects", len(self.rows), self.project_columns),
            TableSource("project_members", len(self._memberships[0]), self.member_columns),
            TableSource(
                "project_milestones",
                int(self._milestone_starts[-1]),
                self.milestone_columns,
            ),
            TableSource(
                "time_entries", self.context.count("time_entries"), self.time_entry_columns
            ),
        )
