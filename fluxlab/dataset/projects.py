"""Projects and who works on them."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fluxlab.dataset.arrow import pc
from fluxlab.dataset.cells import Columns, Tags, document
from fluxlab.dataset.columns import (
    DAY,
    JSON,
    constant,
    dates,
    decimals,
    either,
    integers,
    join,
    take,
    text_of,
    timestamps,
)
from fluxlab.dataset.people import People
from fluxlab.dataset.spread import (
    Groups,
    apportion,
    first_distinct,
    group_by,
    slots_of,
    tail_weights,
)
from fluxlab.dataset.streams import I64, row_range
from fluxlab.dataset.timeline import months_of
from fluxlab.dataset.words import SHOW_FIRST, SHOW_SECOND

PLANNING, ACTIVE, ON_HOLD, COMPLETED, CANCELLED = range(5)


class Projects:
    """Parents, states and times of the projects and of what hangs on them."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.context = people.context
        self.now = self.context.time.now
        self.projects = self.context.cells("projects")
        self.types = self.context.profile.project_types

    # projects ------------------------------------------------------------
    @cached_property
    def _projects(self) -> tuple[I64, I64]:
        """Organization and creation time of every project, in time order."""
        people, cells = self.people, self.projects
        weights = tail_weights(people.organization_rank, cells.share("exponent"))
        cap = int(cells.share("per_organization_max"))
        counts = apportion(self.context.count("projects"), weights, cap)
        organization, _ = slots_of(counts)
        uniform = cells.stream("created_at").uniform(row_range(0, len(organization)))
        start = people.organization_created[organization]
        end = np.full_like(start, self.now)
        created = self.context.time.between(start, end, uniform)
        order = np.argsort(created, kind="stable")
        return organization[order], created[order]

    @property
    def organization(self) -> I64:
        """The organization of every project."""
        return self._projects[0]

    @property
    def created(self) -> I64:
        """When each project was made, ascending."""
        return self._projects[1]

    @property
    def rows(self) -> I64:
        """All project rows."""
        return row_range(0, len(self.created))

    @cached_property
    def manager(self) -> I64:
        """The designer who manages each project."""
        return self.people.staff_at(
            self.created, self.projects.stream("manager_id").uniform(self.rows)
        )

    @cached_property
    def client(self) -> I64:
        """A member of the organization; -1 where there is no client yet."""
        member = self.people.members_of_organization.pick(
            self.organization, self.projects.stream("client_id").uniform(self.rows)
        )
        missing = self.projects.true("client_id_null", self.rows)
        return np.where(missing, -1, member)

    @cached_property
    def team(self) -> I64:
        """A team of the organization, or -1."""
        teams = self.people.teams_of_organization
        possible = teams.sizes[self.organization] > 0
        wanted = 1 - self.projects.share("team_id_null")
        chance = wanted / max(possible.mean(), wanted)
        chosen = possible & self.projects.stream("team#set").true(self.rows, chance)
        team = np.full(len(self.rows), -1, np.int64)
        uniform = self.projects.stream("team_id").uniform(self.rows)[chosen]
        team[chosen] = teams.pick(self.organization[chosen], uniform)
        return team

    @cached_property
    def status(self) -> I64:
        """The state of each project: the old are completed, the newest are planned."""
        choice, count = self.projects.choice("status"), len(self.rows)
        aged = self.rows / count + 0.35 * self.projects.stream("status").uniform(self.rows)
        by_age = np.argsort(aged, kind="stable")
        stopped = self.projects.stream("cancelled").uniform(by_age)
        cancelled = np.argsort(stopped, kind="stable")[
            : round(choice.share("cancelled") * count)
        ]
        going = np.delete(by_age, cancelled)
        status = np.full(count, CANCELLED, np.int64)
        kinds = ((COMPLETED, "completed"), (ON_HOLD, "on-hold"), (ACTIVE, "active"))
        status[going] = PLANNING
        first = 0
        for code, name in kinds:
            end = first + round(choice.share(name) * count)
            status[going[first:end]] = code
            first = end
        return status

    @cached_property
    def type_code(self) -> I64:
        """The place of each project's type in the price table."""
        categories = self.projects.choice("service_category")
        stream = self.projects.stream("service_category")
        category = categories.codes(stream.uniform(self.rows))
        uniform = self.projects.stream("project_type").uniform(self.rows)
        code = np.zeros(len(self.rows), np.int64)
        for place, name in enumerate(categories.values):
            kinds = np.array([i for i, t in enumerate(self.types) if t.category == name])
            limits = np.cumsum(1.0 / np.arange(1, len(kinds) + 1))
            here = category == place
            code[here] = kinds[
                np.searchsorted(limits / limits[-1], uniform[here], side="right")
            ]
        return code

    @cached_property
    def weeks(self) -> I64:
        """How long each project is meant to take."""
        return np.array([kind.weeks for kind in self.types])[self.type_code]

    @cached_property
    def start_day(self) -> I64:
        """The day on which each project starts."""
        wait = self.projects.stream("start_date").below(self.rows, 15)
        return self.created // DAY + wait

    @cached_property
    def due_day(self) -> I64:
        """When each project is due: most of them inside one of the two seasons."""
        stream = self.projects.stream("due_date")
        due = self.start_day + self.weeks * 7 + stream.below(self.rows, 21)
        month = months_of(due * DAY)
        # May to July move on to August and later; December moves to January and later.
        shift = np.where((month >= 4) & (month <= 6), (7 - month) * 30 + 20, 0)
        shift = np.where(month == 11, 35, shift)
        moves = self.projects.stream("season").true(
            self.rows, self.projects.share("season_shift")
        )
        return due + np.where(moves, shift, 0)

    @cached_property
    def end(self) -> I64:
        """When work on each project ended, in ms; `now` while it goes on."""
        uniform = self.projects.stream("completion_date").uniform(self.rows)
        planned = (self.due_day - self.start_day) * DAY * (0.7 + 0.6 * uniform)
        ended = self.start_day * DAY + planned.astype(np.int64)
        # Whatever is completed was completed by now, however long it was meant to take.
        latest = self.created + ((self.now - self.created) * (0.3 + 0.7 * uniform)).astype(
            np.int64
        )
        ended = np.maximum(np.minimum(ended, latest), self.created)
        over = (self.status == COMPLETED) | (self.status == CANCELLED)
        return np.where(over, ended, self.now)

    def price(self) -> I64:
        """What each project costs, in whole dollars."""
        base = np.array([kind.price for kind in self.types])[self.type_code]
        units = self.projects.stream("units").below(self.rows, 24) + 6
        hourly = np.array([kind.unit == "hour" for kind in self.types])[self.type_code]
        monthly = np.array([kind.unit == "month" for kind in self.types])[self.type_code]
        return base * np.where(hourly, units, np.where(monthly, units // 5 + 1, 1))

    def project_columns(self, rows: I64) -> Columns:
        """The cells of projects."""
        cells, people, users = self.projects, self.people, self.people.users
        kinds, code = self.types, self.type_code[rows]
        first = take(SHOW_FIRST, cells.stream("first").below(rows, len(SHOW_FIRST)))
        first = cells.with_terms("name", rows, first)
        second = take(SHOW_SECOND, cells.stream("second").below(rows, len(SHOW_SECOND)))
        name = join(first, " ", second)
        slug = join(
            pc.replace_substring(pc.utf8_lower(name), " ", "-"), "-", text_of(rows + 1)
        )
        status, created = self.status[rows], self.created[rows]
        budget = self.price()[rows] * (80 + cells.stream("budget").below(rows, 60))
        estimate = self.weeks[rows] * 12 + cells.stream("estimate").below(rows, 20)
        progress = np.array([0.0, 0.6, 0.4, 1.05, 0.3])[status]
        actual = estimate * progress * (0.6 + 0.8 * cells.stream("actual").uniform(rows))
        template = cells.stream("template_id").below(rows, np.maximum(rows // 4, 1))
        client, team = self.client[rows], self.team[rows]
        return {
            "id": cells.ids(rows),
            "name": name,
            "description": cells.sentence("description", rows, 12),
            "slug": slug,
            "organization_id": people.organizations.id_of(self.organization[rows]),
            "team_id": people.teams.id_of(team, team >= 0),
            "manager_id": users.id_of(self.manager[rows]),
            "client_id": users.id_of(client, client >= 0),
            "status": take(cells.choice("status").values, status),
            "priority": cells.chosen("priority", rows),
            "project_type": take([kind.name for kind in kinds], code),
            "service_category": take([kind.category for kind in kinds], code),
            "service_tier": cells.chosen("service_tier", rows),
            "ensemble_type": cells.chosen("ensemble_type", rows),
            "budget": decimals(budget, 10),
            "estimated_hours": integers(estimate),
            "actual_hours": integers(actual.astype(np.int64)),
            "start_date": dates(self.start_day[rows]),
            "due_date": dates(self.due_day[rows], ~cells.true("due_date_null", rows)),
            "completion_date": dates(self.end[rows] // DAY, status == COMPLETED),
            "metadata": document({"season": take(['"fall"', '"winter"'], rows % 2)}),
            "settings": constant(JSON + "{}", len(rows)),
            "tags": Tags(cells, "tags").column(rows),
            "is_template": cells.flag("is_template", rows),
            "template_id": cells.id_of(
                template,
                (rows > 3)
                & cells.stream("template#set").true(rows, cells.share("template_id")),
            ),
            "created_at": timestamps(created),
            "updated_at": timestamps(
                np.maximum(created, self.end[rows] - self._quiet(rows))
            ),
        }

    def _quiet(self, rows: I64) -> I64:
        """How long ago anything changed in a project that still goes on."""
        wait = self.projects.stream("updated_at").exponential(rows, 9.0) * DAY
        return np.where(self.end[rows] == self.now, wait.astype(np.int64), 0)

    # members -------------------------------------------------------------
    @cached_property
    def _memberships(self) -> tuple[I64, I64]:
        cells = self.context.cells("project_members")
        weights = 0.5 + cells.stream("size").uniform(self.rows)
        extra = self.context.count("project_members") - 2 * len(self.rows)
        sizes = 2 + apportion(extra, weights)
        project, place = slots_of(sizes * 2 + 6)
        uniform = cells.stream("candidate").uniform((project << 12) + place)
        member = self.people.members_of_organization.pick(
            self.organization[project], uniform
        )
        staff = self.people.staff_at(self.created[project], uniform)
        user = np.where(place % 2 == 0, staff, member)
        user = np.where(place == 0, self.manager[project], user)
        client = self.client[project]
        user = np.where((place == 1) & (client >= 0), client, user)
        return first_distinct(project, user, sizes)

    @cached_property
    def members(self) -> Groups:
        """The users of every project: its manager, then mostly its client, then others."""
        return group_by(*self._memberships, len(self.rows))

    @cached_property
    def _membership_order(self) -> tuple[I64, I64, I64]:
        project, user = self._memberships
        stream = self.context.cells("project_members").stream("joined_at")
        wait = stream.exponential(row_range(0, len(project)), 4.0) * DAY
        wait = np.where(user == self.manager[project], 0, wait).astype(np.int64)
        since = np.maximum(self.created[project], self.people.user_created[user])
        joined = np.minimum(since + wait, self.now)
        order = np.argsort(joined, kind="stable")
        return project[order], user[order], joined[order]

    def member_columns(self, rows: I64) -> Columns:
        """The cells of project_members."""
        cells = self.context.cells("project_members")
        project, user, joined = (column[rows] for column in self._membership_order)
        role = cells.choice("role")
        others = np.array(role.shares[1:]) / sum(role.shares[1:])
        code = np.searchsorted(
            np.cumsum(others)[:-1], cells.stream("role").uniform(rows), side="right"
        )
        is_manager = user == self.manager[project]
        rate = 4000 + cells.stream("hourly_rate").below(rows, 24) * 500
        return {
            "id": cells.ids(rows),
            "project_id": self.projects.id_of(project),
            "user_id": self.people.users.id_of(user),
            "role": either(is_manager, "manager", take(role.values[1:], code)),
            "permissions": constant(JSON + "[]", len(rows)),
            "hourly_rate": decimals(rate, 8, cells.stream("paid").true(rows, 0.6)),
            "joined_at": timestamps(joined),
            "is_active": cells.flag("is_active", rows),
        }
