"""Organizations and teams, and who belongs to which."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fluxlab.dataset.accounts import Accounts
from fluxlab.dataset.arrow import pc
from fluxlab.dataset.cells import Columns, Context, TableSource
from fluxlab.dataset.columns import (
    DAY,
    HOUR,
    JSON,
    constant,
    either,
    join,
    only,
    take,
    text_of,
    timestamps,
)
from fluxlab.dataset.spread import (
    Groups,
    apportion,
    first_distinct,
    group_by,
    hot_ranks,
    slots_of,
    tail_weights,
)
from fluxlab.dataset.streams import I64, row_range
from fluxlab.dataset.words import (
    ORGANIZATION_ENDINGS,
    PLACES,
    STATES,
    TEAM_NAMES,
)


class People(Accounts):
    """Parents and times of all the people's tables; cells are made chunk by chunk."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.organizations = context.cells("organizations")
        self.teams = context.cells("teams")

    # organizations -------------------------------------------------------
    @cached_property
    def organization_created(self) -> I64:
        """When each organization was made, ascending, never before the first user."""
        rows = row_range(0, self.context.count("organizations"))
        at = self.context.time.stratified(
            self.organizations.stream("created_at").uniform(rows)
        )
        created: I64 = np.maximum(at, self.user_created[0] + HOUR)
        return created

    @cached_property
    def organization_creator(self) -> I64:
        """The user who made each organization."""
        at = self.organization_created
        return self.organizations.stream("created_by").below(
            row_range(0, len(at)), self.known(at)
        )

    @cached_property
    def organization_rank(self) -> I64:
        """0 for the largest organization."""
        return hot_ranks(
            self.organizations.stream("rank"),
            self.organization_created,
            self.context.time.now,
        )

    @cached_property
    def _organization_sizes(self) -> I64:
        cells, count = self.organizations, len(self.organization_created)
        solo = round(cells.share("solo") * count)
        by_rank = np.ones(count, np.int64)
        total = self.context.count("organization_members") - count
        weights = tail_weights(row_range(0, count - solo), cells.share("members_exponent"))
        by_rank[: count - solo] += apportion(
            total, weights, int(cells.share("members_max")) - 1
        )
        return by_rank[self.organization_rank]

    @cached_property
    def _memberships(self) -> tuple[I64, I64]:
        """Organization and user of every membership, the creator first."""
        sizes = self._organization_sizes
        organization, place = slots_of(sizes)
        shuffled = np.argsort(
            self.users.stream("shuffle").bits(self.user_rows), kind="stable"
        )
        turn = np.cumsum(place > 0) - 1
        user = shuffled[turn % len(shuffled)]
        user = np.where(place == 0, self.organization_creator[organization], user)
        return first_distinct(organization, user, sizes)

    @cached_property
    def members_of_organization(self) -> Groups:
        """The users of every organization, its creator first."""
        organization, user = self._memberships
        return group_by(organization, user, len(self.organization_created))

    def organization_columns(self, rows: I64) -> Columns:
        """The cells of organizations."""
        cells, created = self.organizations, self.organization_created[rows]
        kind = cells.chosen("type", rows)
        ending = take(
            list(ORGANIZATION_ENDINGS.values()),
            cells.choice("type").codes(cells.stream("type").uniform(rows)),
        )
        place = take(PLACES, cells.stream("place").below(rows, len(PLACES)))
        state = take(STATES, cells.stream("state").below(rows, len(STATES)))
        name = join(place, " ", ending)
        slug = join(
            pc.replace_substring(pc.utf8_lower(name), " ", "-"), "-", text_of(rows + 1)
        )
        customer = join(
            "cus_", text_of((cells.stream("stripe").bits(rows) >> 16).astype(np.int64))
        )
        later = cells.stream("updated_at").uniform(rows) * (self.context.time.now - created)
        described = cells.stream("description").true(rows, 0.5)
        return {
            "id": cells.ids(rows),
            "name": name,
            "slug": slug,
            "description": only(described, cells.sentence("description", rows, 9)),
            "type": kind,
            "location": join(place, ", ", state),
            "contact_email": join("band@", slug, ".example.org"),
            "contact_phone": join(
                "+1 555 555 ", text_of(cells.stream("contact").below(rows, 10_000), 4)
            ),
            "website": only(described, join("https://", slug, ".example.org")),
            "logo_url": only(
                cells.stream("logo").true(rows, 0.4),
                join("https://cdn.example.com/logos/", slug, ".svg"),
            ),
            "settings": either(described, JSON + '{"approvals":true}', JSON + "{}"),
            "subscription_tier": cells.chosen("subscription_tier", rows),
            "subscription_status": cells.chosen("subscription_status", rows),
            "billing_email": join("billing@", slug, ".example.org"),
            # The paying come first, then those who paid once: one number decides both.
            "stripe_customer_id": only(
                cells.stream("subscription_tier").uniform(rows)
                >= 1 - cells.share("stripe_customer_id"),
                customer,
            ),
            "created_by": self.users.id_of(self.organization_creator[rows]),
            "created_at": timestamps(created),
            "updated_at": timestamps(created + later.astype(np.int64)),
        }

    @cached_property
    def _membership_order(self) -> tuple[I64, I64, I64, I64]:
        organization, user = self._memberships
        rows = row_range(0, len(user))
        cells = self.context.cells("organization_members")
        created = self.organization_created[organization]
        owner = user == self.organization_creator[organization]
        wait = cells.stream("joined_at").exponential(rows, 5.0) * DAY
        joined = np.maximum(created, self.user_created[user]) + wait.astype(np.int64)
        joined = np.where(owner, created, np.minimum(joined, self.context.time.now))
        order = np.argsort(joined, kind="stable")
        return (
            organization[order],
            user[order],
            joined[order],
            owner[order].astype(np.int64),
        )

    def organization_member_columns(self, rows: I64) -> Columns:
        """The cells of organization_members."""
        cells = self.context.cells("organization_members")
        organization, user, joined, owner = (
            column[rows] for column in self._membership_order
        )
        role = cells.choice("role")
        admin = cells.stream("role").true(
            rows, role.share("admin") / (1 - role.share("owner"))
        )
        is_owner = owner.astype(bool)
        names = either(is_owner, "owner", either(admin, "admin", "member"))
        return {
            "id": cells.ids(rows),
            "organization_id": self.organizations.id_of(organization),
            "user_id": self.users.id_of(user),
            "role": names,
            "permissions": either(admin & ~is_owner, JSON + '["billing"]', JSON + "[]"),
            "invited_by": self.users.id_of(
                self.organization_creator[organization], ~is_owner
            ),
            "joined_at": timestamps(joined),
            "is_active": cells.flag("is_active", rows),
        }

    # teams ---------------------------------------------------------------
    @cached_property
    def _teams(self) -> tuple[I64, I64]:
        """Organization and creation time of every team, in time order."""
        sizes = self.members_of_organization.sizes
        cap = int(self.teams.share("per_organization_max"))
        large = np.where(sizes >= self.teams.share("members_min"), sizes, 0) ** 0.7
        counts = apportion(self.context.count("teams"), large, cap)
        organization, _ = slots_of(counts)
        uniform = self.teams.stream("created_at").uniform(row_range(0, len(organization)))
        start = self.organization_created[organization]
        created = self.context.time.between(
            start, np.full_like(start, self.context.time.now), uniform**1.5
        )
        order = np.argsort(created, kind="stable")
        return organization[order], created[order]

    @property
    def team_organization(self) -> I64:
        """The organization of every team."""
        return self._teams[0]

    @property
    def team_created(self) -> I64:
        """When each team was made, ascending."""
        return self._teams[1]

    @cached_property
    def teams_of_organization(self) -> Groups:
        """The teams of every organization."""
        count = len(self.team_organization)
        return group_by(
            self.team_organization, row_range(0, count), len(self.organization_created)
        )

    @cached_property
    def team_lead(self) -> I64:
        """The user who leads each team."""
        rows = row_range(0, len(self.team_created))
        uniform = self.teams.stream("lead_id").uniform(rows)
        return self.members_of_organization.pick(self.team_organization, uniform)

    def team_columns(self, rows: I64) -> Columns:
        """The cells of teams."""
        cells, created = self.teams, self.team_created[rows]
        name = take(TEAM_NAMES, cells.stream("name").below(rows, len(TEAM_NAMES)))
        slug = join(
            pc.replace_substring(pc.utf8_lower(name), " ", "-"), "-", text_of(rows + 1)
        )
        return {
            "id": cells.ids(rows),
            "name": name,
            "description": cells.sentence("description", rows, 6),
            "slug": slug,
            "organization_id": self.organizations.id_of(self.team_organization[rows]),
            "lead_id": self.users.id_of(
                self.team_lead[rows],
                cells.stream("lead#set").true(rows, cells.share("lead_id")),
            ),
            "settings": constant(JSON + "{}", len(rows)),
            "is_private": cells.flag("is_private", rows),
            "created_at": timestamps(created),
            "updated_at": timestamps(created),
        }

    @cached_property
    def _team_memberships(self) -> tuple[I64, I64]:
        """Team and user of every membership, the lead first."""
        organization = self.team_organization
        cells = self.context.cells("team_members")
        teams = row_range(0, len(organization))
        room = self.members_of_organization.sizes[organization]
        weights = np.sqrt(room) * (0.5 + cells.stream("size").uniform(teams))
        sizes = 1 + apportion(self.context.count("team_members") - len(teams), weights, 30)
        team, place = slots_of(sizes * 3 + 4)
        uniform = cells.stream("candidate").uniform((team << 12) + place)
        user = self.members_of_organization.pick(organization[team], uniform)
        user = np.where(place == 0, self.team_lead[team], user)
        return first_distinct(team, user, sizes)

    @cached_property
    def members_of_team(self) -> Groups:
        """The users of every team, its lead first."""
        return group_by(*self._team_memberships, len(self.team_organization))

    @cached_property
    def _team_membership_order(self) -> tuple[I64, I64, I64]:
        team, user = self._team_memberships
        stream = self.context.cells("team_members").stream("joined_at")
        since = np.maximum(self.team_created[team], self.user_created[user])
        wait = stream.exponential(row_range(0, len(team)), 6.0) * DAY
        joined = np.minimum(since + wait.astype(np.int64), self.context.time.now)
        order = np.argsort(joined, kind="stable")
        return team[order], user[order], joined[order]

    def team_member_columns(self, rows: I64) -> Columns:
        """The cells of team_members."""
        cells = self.context.cells("team_members")
        team, user, joined = (column[rows] for column in self._team_membership_order)
        role = cells.choice("role")
        count = len(self.team_organization)
        # The team's lead leads; further leads fill up to the profile's share.
        extra = role.share("lead") - count / max(1, len(self._team_membership_order[0]))
        leads = (user == self.team_lead[team]) | cells.stream("lead").true(
            rows, max(0.0, extra)
        )
        viewer = cells.stream("role").true(
            rows, role.share("viewer") / (1 - role.share("lead"))
        )
        return {
            "id": cells.ids(rows),
            "team_id": self.teams.id_of(team),
            "user_id": self.users.id_of(user),
            "role": either(leads, "lead", either(viewer, "viewer", "member")),
            "permissions": constant(JSON + "[]", len(rows)),
            "joined_at": timestamps(joined),
            "is_active": cells.flag("is_active", rows),
        }

    def sources(self) -> tuple[TableSource, ...]:
        """The five tables of people."""
        return (
            TableSource("users", len(self.user_rows), self.user_columns),
            TableSource(
                "organizations", len(self.organization_created), self.organization_columns
            ),
            TableSource(
                "organization_members",
                len(self._memberships[0]),
                self.organization_member_columns,
            ),
            TableSource("teams", len(self.team_created), self.team_columns),
            TableSource(
                "team_members", len(self._team_memberships[0]), self.team_member_columns
            ),
        )
