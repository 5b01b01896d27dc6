"""Conversations, who reads them, and where every message of them stands."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from fluxlab.dataset.cells import CHUNK_ROWS, Cells, Columns, TableSource
from fluxlab.dataset.columns import (
    DAY,
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
    exponent_of,
    first_distinct,
    group_by,
    hot_ranks,
    slots_of,
    starts_of,
    tail_weights,
)
from fluxlab.dataset.streams import I64, Bools, row_range
from fluxlab.dataset.words import CHANNELS
from fluxlab.dataset.work import Work

U32 = npt.NDArray[np.uint32]

DIRECT, GROUP, PROJECT, TEAM = range(4)

#: A message before its texts: milliseconds since the start, then the conversation.
_CONVERSATION_BITS = 24


class Talk:
    """Parents and times of conversations, participants and messages.

    A message is 8 bytes here (time and conversation) plus three row numbers of 4
    bytes; everything else is computed when its chunk is made.
    """

    def __init__(self, work: Work) -> None:
        self.work, self.people, self.context = work, work.people, work.context
        self.now = self.context.time.now
        self.cells: Cells = self.context.cells("conversations")
        self.messages: Cells = self.context.cells("messages")

    # conversations -------------------------------------------------------
    @cached_property
    def _conversations(self) -> tuple[I64, I64, I64]:
        """Type, subject (project, team or organization) and time, in time order."""
        total, choice = self.context.count("conversations"), self.cells.choice("type")
        projects = self.work.rows[: round(total * choice.share("project"))]
        people = self.people
        teams = row_range(
            0, min(round(total * choice.share("team")), len(people.team_created))
        )
        groups = row_range(0, round(total * choice.share("group")))
        direct = row_range(0, total - len(projects) - len(teams) - len(groups))
        memberships = people.members_of_organization
        pick = self.cells.stream("organization_id").below(
            groups, int(memberships.starts[-1])
        )
        home = np.searchsorted(memberships.starts, pick, side="right") - 1
        made = people.organization_created[home]
        now = np.full_like(made, self.now)
        uniform = self.cells.stream("group#time").uniform(groups)
        kinds = np.repeat(
            [PROJECT, TEAM, GROUP, DIRECT], [*map(len, (projects, teams, groups, direct))]
        )
        created = np.concatenate(
            [
                self.work.created[projects],
                people.team_created[teams],
                self.context.time.between(made, now, uniform),
                self.context.time.stratified(
                    self.cells.stream("direct#time").uniform(direct)
                ),
            ]
        )
        created = np.maximum(
            created, people.user_created[min(1, len(people.user_rows) - 1)] + 1
        )
        subject = np.concatenate(
            [projects, teams, home, np.full(len(direct), -1, np.int64)]
        )
        order = np.argsort(created, kind="stable")
        return kinds[order].astype(np.int64), subject[order], created[order]

    @property
    def created(self) -> I64:
        """When each conversation began, ascending."""
        return self._conversations[2]

    @cached_property
    def organization(self) -> I64:
        """The organization of every conversation, -1 for direct ones."""
        kind, subject, _ = self._conversations
        home = np.where(kind == PROJECT, self.work.organization[subject], subject)
        team = self.people.team_organization[np.where(kind == TEAM, subject, 0)]
        organization: I64 = np.where(kind == TEAM, team, home)
        return organization

    @cached_property
    def _memberships(self) -> tuple[I64, I64]:
        """Conversation and user of every participant, the creator first."""
        kind, _, created = self._conversations
        cells = self.context.cells("conversation_participants")
        count = len(kind)
        pair = int(cells.share("direct"))
        weights = np.where(
            kind == DIRECT, 0.0, 0.4 + cells.stream("size").uniform(row_range(0, count))
        )
        others = self.context.count("conversation_participants") - pair * int(
            (kind == DIRECT).sum()
        )
        wide = kind != DIRECT
        sizes = np.where(wide, 2, pair) + apportion(others - 2 * int(wide.sum()), weights)
        conversation, place = slots_of(sizes * 2 + 8)
        user = self._candidates(conversation, place, created[conversation])
        return first_distinct(conversation, user, sizes)

    def _candidates(self, conversation: I64, place: I64, created: I64) -> I64:
        """Who might take part: people of the subject first, designers in between."""
        kind, subject = (column[conversation] for column in self._conversations[:2])
        stream = self.context.cells("conversation_participants").stream("candidate")
        uniform = stream.uniform((conversation << 12) + place)
        anyone = np.floor(uniform * self.people.known(created)).astype(np.int64)
        staff = self.people.staff_at(created, uniform)
        user = np.where((kind == DIRECT) & (place % 2 == 0), staff, anyone)
        for code, groups in (
            (PROJECT, self.work.members),
            (TEAM, self.people.members_of_team),
            (GROUP, self.people.members_of_organization),
        ):
            here = (kind == code) & (place % 3 != 2)
            user[here] = groups.pick(subject[here], uniform[here])
            fallback = (kind == code) & (place % 3 == 2)
            user[fallback] = staff[fallback]
        creator = (kind == PROJECT) & (place == 0)
        user[creator] = self.work.manager[subject[creator]]
        # Whoever begins a conversation has an account by then.
        late = (place == 0) & (self.people.user_created[user] > created)
        return np.where(late, anyone, user)

    @cached_property
    def participants(self) -> Groups:
        """The users of every conversation, its creator first."""
        return group_by(*self._memberships, len(self.created))

    @cached_property
    def joined(self) -> I64:
        """When each participant joined, in the order of `participants`."""
        conversation, user = self._memberships
        stream = self.context.cells("conversation_participants").stream("joined_at")
        wait = stream.exponential(row_range(0, len(user)), 1.0) * DAY
        wait[self.participants.starts[:-1]] = 0
        since = np.maximum(self.created[conversation], self.people.user_created[user])
        since[self.participants.starts[:-1]] = self.created
        joined: I64 = np.minimum(since + wait.astype(np.int64), self.now)
        return joined

    # messages ------------------------------------------------------------
    @cached_property
    def message_counts(self) -> I64:
        """Messages per conversation: Zipf, a few empty."""
        conversations = row_range(0, len(self.created))
        ranks = hot_ranks(self.cells.stream("rank"), self.created, self.now)
        exponent = exponent_of(self.messages.share("top_share"), len(ranks))
        weights = tail_weights(ranks, exponent)
        cold = ranks > len(ranks) // 10
        empty = cold & self.cells.stream("empty").true(
            conversations, self.cells.share("empty")
        )
        weights[empty] = 0.0
        return apportion(self.context.count("messages"), weights)

    @cached_property
    def ends(self) -> I64:
        """When each conversation fell silent; the hottest tenth never does."""
        conversations = row_range(0, len(self.created))
        stream, share = self.cells.stream("lifetime"), self.cells.share
        life = stream.exponential(conversations, share("lifetime_median_days")) * DAY + DAY
        hot = self.message_counts >= np.quantile(self.message_counts, 0.9)
        alive = hot | self.cells.stream("alive").true(conversations, share("alive"))
        silent = np.minimum(self.created + life.astype(np.int64), self.now)
        return np.where(alive, self.now, silent)

    @cached_property
    def _packed(self) -> npt.NDArray[np.uint64]:
        """Time and conversation of every message, in time order."""
        counts, ends, time = self.message_counts, self.ends, self.context.time
        starts = starts_of(counts)
        packed = np.empty(int(starts[-1]), np.uint64)
        stream = self.messages.stream("created_at")
        for first in range(0, len(packed), CHUNK_ROWS):
            rows = row_range(first, min(first + CHUNK_ROWS, len(packed)))
            of = np.searchsorted(starts, rows, side="right") - 1
            at = time.between(self.created[of], ends[of], stream.uniform(rows)) - time.start
            packed[first : first + len(rows)] = (at << _CONVERSATION_BITS) | of
        packed.sort()
        return packed

    def conversation_of(self, rows: I64) -> I64:
        """The conversation of each message."""
        return (self._packed[rows] & np.uint64(2**_CONVERSATION_BITS - 1)).astype(np.int64)

    def time_of(self, rows: I64) -> I64:
        """When each message was sent, in ms; ascending with the row."""
        offset = self._packed[rows] >> np.uint64(_CONVERSATION_BITS)
        return offset.astype(np.int64) + self.context.time.start

    @cached_property
    def message_starts(self) -> I64:
        """Where each conversation begins in `in_conversation`."""
        return starts_of(self.message_counts)

    @cached_property
    def in_conversation(self) -> U32:
        """Message rows ordered by conversation, then time."""
        count = len(self._packed)
        keys = np.empty(count, np.uint64)
        for first in range(0, count, CHUNK_ROWS):
            rows = row_range(first, min(first + CHUNK_ROWS, count))
            keys[first : first + len(rows)] = (self.conversation_of(rows) << 32) | rows
        keys.sort()
        return (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32)

    @cached_property
    def place(self) -> U32:
        """The place of every message in `in_conversation`."""
        place = np.empty(len(self.in_conversation), np.uint32)
        place[self.in_conversation] = np.arange(len(place), dtype=np.uint32)
        return place

    @cached_property
    def thread_root(self) -> U32:
        """By place: the place of the first message of a message's thread, or its own.

        Threads open at random places of a conversation and collect a share of what is
        said until the next one opens, so their sizes are geometric.
        """
        share, mean = self.messages.share("thread"), self.messages.share("thread_mean")
        most, count = int(self.messages.share("thread_max")), len(self.in_conversation)
        opens, joins = (
            self.messages.stream("thread#opens"),
            self.messages.stream("thread#joins"),
        )
        # An existing thread has `mean` joiners if an opener has one less: most have none.
        conversations = int((self.message_counts > 0).sum())
        often = max(share / (mean - 1) - conversations / count, share / 50)
        first_places = np.zeros(count, np.bool_)
        first_places[self.message_starts[:-1][self.message_counts > 0]] = True
        roots = np.empty(count, np.uint32)
        root, inside = 0, 0
        for first in range(0, count, CHUNK_ROWS):
            places = row_range(first, min(first + CHUNK_ROWS, count))
            opening = opens.true(places, often) | first_places[places]
            root_of = np.maximum.accumulate(np.where(opening, places, root))
            # A little more than the share, because openers never join.
            joining = joins.true(places, share / (1 - share / (mean - 1))) & ~opening
            said = np.cumsum(joining)
            # Joiners since the thread opened; `inside` are those of the chunk before.
            size: I64 = said - np.maximum.accumulate(np.where(opening, said, -inside))
            roots[places] = np.where(joining & (size <= most), root_of, places)
            root, inside = int(root_of[-1]), int(size[-1])
        return roots

    def deleted(self, rows: I64) -> Bools:
        """Which messages were deleted."""
        return self.messages.stream("deleted_at").true(rows, self.messages.share("deleted"))

    @cached_property
    def last_message(self) -> I64:
        """The newest live message of every conversation in ms, -1 where there is none."""
        newest = np.full(len(self.created), -1, np.int64)
        for first in range(0, len(self._packed), CHUNK_ROWS):
            rows = row_range(first, min(first + CHUNK_ROWS, len(self._packed)))
            rows = rows[~self.deleted(rows)]
            # Rows ascend in time and the last assignment stays.
            newest[self.conversation_of(rows)] = self.time_of(rows)
        return newest

    def author(self, rows: I64) -> I64:
        """A participant who had joined by then; the first ones talk the most."""
        conversation = self.conversation_of(rows)
        starts = self.participants.starts
        size = starts[conversation + 1] - starts[conversation]
        uniform = self.messages.stream("author_id").uniform(rows)
        slot = np.floor(uniform ** self.messages.share("author_exponent") * size).astype(
            np.int64
        )
        place = starts[conversation] + slot
        place = np.where(
            self.joined[place] > self.time_of(rows), starts[conversation], place
        )
        author: I64 = self.participants.members[place]
        return author

    # columns -------------------------------------------------------------
    def conversation_columns(self, rows: I64) -> Columns:
        """The cells of conversations."""
        cells, people = self.cells, self.people
        kind, subject, created = (column[rows] for column in self._conversations)
        organization, last = self.organization[rows], self.last_message[rows]
        channel = take(CHANNELS, cells.stream("name").below(rows, len(CHANNELS)))
        creator = self.participants.members[self.participants.starts[rows]]
        described = cells.stream("description").true(rows, 0.25) & (kind != DIRECT)
        return {
            "id": cells.ids(rows),
            "name": only(kind != DIRECT, join(channel, "-", text_of(rows + 1))),
            "description": only(described, cells.sentence("description", rows, 6)),
            "type": take(["direct", "group", "project", "team"], kind),
            "organization_id": people.organizations.id_of(organization, organization >= 0),
            "project_id": self.work.projects.id_of(subject, kind == PROJECT),
            "team_id": people.teams.id_of(subject, kind == TEAM),
            "created_by": people.users.id_of(creator),
            "last_message_at": timestamps(last, last >= 0),
            "metadata": constant(JSON + "{}", len(rows)),
            "settings": either(described, JSON + '{"notify":"all"}', JSON + "{}"),
            "is_archived": cells.flag("is_archived", rows),
            "created_at": timestamps(created),
            "updated_at": timestamps(np.maximum(created, last)),
        }

    @cached_property
    def _membership_order(self) -> I64:
        return np.argsort(self.joined, kind="stable")

    def participant_columns(self, rows: I64) -> Columns:
        """The cells of conversation_participants."""
        cells = self.context.cells("conversation_participants")
        place = self._membership_order[rows]
        conversation, user = self._memberships[0][place], self._memberships[1][place]
        joined, last = self.joined[place], self.last_message[conversation]
        stale = cells.stream("stale").uniform(rows) ** (1 / cells.share("stale_exponent"))
        read = joined + ((last - joined) * stale).astype(np.int64)
        caught_up = cells.stream("caught_up").true(rows, cells.share("caught_up"))
        read = np.where(caught_up, last, read)
        never = self._never_read[place]
        role = cells.choice("role")
        creator = place == self.participants.starts[conversation]
        owners = len(self.created) / len(self.joined)
        # The creator owns; where there are more creators than owners, some gave it up.
        extra = max(0.0, (role.share("owner") - owners) / (1 - owners))
        creator &= cells.stream("owner").true(rows, min(1.0, role.share("owner") / owners))
        uniform = cells.stream("role").uniform(rows)
        admin = uniform < extra + role.share("admin") / (
            1 - min(owners, role.share("owner"))
        )
        others = either(uniform < extra, "owner", either(admin, "admin", "member"))
        return {
            "id": cells.ids(rows),
            "conversation_id": self.cells.id_of(conversation),
            "user_id": self.people.users.id_of(user),
            "role": either(creator, "owner", others),
            "joined_at": timestamps(joined),
            "last_read_at": timestamps(read, ~never),
            "is_muted": cells.flag("is_muted", rows),
            "is_pinned": cells.flag("is_pinned", rows),
        }

    @cached_property
    def _never_read(self) -> Bools:
        """Who never read: all for whom there was nothing to read, and some others."""
        cells = self.context.cells("conversation_participants")
        nothing = self.joined > self.last_message[self._memberships[0]]
        wanted, forced = cells.share("last_read_null"), float(nothing.mean())
        chance = max(0.0, (wanted - forced) / (1 - forced))
        some = cells.stream("last_read_at").true(row_range(0, len(nothing)), chance)
        return np.asarray(nothing | some)

    def sources(self) -> tuple[TableSource, ...]:
        """Conversations and their participants."""
        return (
            TableSource("conversations", len(self.created), self.conversation_columns),
            TableSource(
                "conversation_participants", len(self.joined), self.participant_columns
            ),
        )
