"""Messages and reactions: two thirds of all rows, made chunk by chunk."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fluxlab.dataset.arrow import Array, pa, pc
from fluxlab.dataset.cells import Columns, TableSource
from fluxlab.dataset.columns import (
    JSON,
    MINUTE,
    either,
    join,
    lists,
    take,
    text_of,
    timestamps,
    uuid_text,
)
from fluxlab.dataset.streams import I64, row_range
from fluxlab.dataset.talk import Talk
from fluxlab.dataset.words import FILE_SUBJECTS, vocabulary

#: Attachments are drawn from this many ready documents.
_ATTACHMENTS = 1024

#: Resolution of the table that turns random bits into Zipf distributed words.
_WORD_BITS = 20


class Messages:
    """The cells of messages and message_reactions."""

    def __init__(self, talk: Talk) -> None:
        self.talk, self.context, self.cells = talk, talk.context, talk.messages

    def columns(self, rows: I64) -> Columns:
        """The cells of messages."""
        cells, talk = self.cells, self.talk
        conversation, at = talk.conversation_of(rows), talk.time_of(rows)
        place = talk.place[rows].astype(np.int64)
        root = talk.thread_root[place].astype(np.int64)
        in_thread = root != place
        reply_place = self._reply_place(rows, conversation, place, root)
        replies = reply_place >= 0
        root_row = talk.in_conversation[root].astype(np.int64)
        reply_row = talk.in_conversation[np.maximum(reply_place, 0)].astype(np.int64)
        deleted = talk.deleted(rows)
        edited = cells.true("edited", rows)
        later = cells.stream("later").exponential(rows, 12.0) * MINUTE
        changed = np.minimum(at + later.astype(np.int64), self.context.time.now)
        kinds = cells.choice("message_type")
        kind = kinds.codes(cells.stream("message_type").uniform(rows))
        return {
            "id": cells.ids(rows),
            "conversation_id": talk.cells.id_of(conversation),
            "author_id": talk.people.users.id_of(talk.author(rows)),
            "content": self._content(rows),
            "message_type": take(kinds.values, kind),
            "priority": cells.chosen("priority", rows),
            "status": cells.chosen("status", rows),
            "reply_to_id": cells.id_of(reply_row, replies),
            "thread_id": cells.id_of(root_row, in_thread),
            "mentions": self._mentions(rows, conversation),
            "attachments": self._attachments(rows, kind),
            "metadata": either(
                cells.true("metadata", rows), JSON + '{"client":"web"}', JSON + "{}"
            ),
            "edited_at": timestamps(changed, edited),
            "deleted_at": timestamps(changed, deleted),
            "created_at": timestamps(at),
        }

    def _reply_place(self, rows: I64, conversation: I64, place: I64, root: I64) -> I64:
        """Where the message stands that is replied to: the root, or one before; or -1."""
        cells, share = self.cells, self.cells.share
        alone = (share("reply") - share("thread")) / (1 - share("thread"))
        wants = cells.stream("reply#set").true(rows, alone)
        distance = cells.stream("reply").exponential(rows, share("reply_distance_median"))
        earlier = place - 1 - distance.astype(np.int64)
        first = self.talk.message_starts[conversation]
        earlier = np.where(place > first, np.maximum(earlier, first), -1)
        return np.where(root != place, root, np.where(wants, earlier, -1))

    # texts ---------------------------------------------------------------
    @cached_property
    def _vocabulary(self) -> Array:
        words = vocabulary(int(self.cells.share("vocabulary")))
        terms = self.context.profile.terms_of("messages.content")
        return pa.array([*words, *(term.word for term in terms)])

    @cached_property
    def _word_table(self) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
        """The word for every value of 20 random bits."""
        ranks = np.arange(int(self.cells.share("vocabulary")))
        weights = np.power(ranks + 2.7, -self.cells.share("vocabulary_exponent"))
        limits = np.cumsum(weights) / weights.sum()
        at = (np.arange(2**_WORD_BITS) + 0.5) / 2**_WORD_BITS
        words = np.minimum(np.searchsorted(limits, at), len(ranks) - 1)
        return np.asarray(words, np.uint16)

    def _content(self, rows: I64) -> Array:
        cells, share = self.cells, self.cells.share
        length = cells.stream("words").lognormal(
            rows, share("words_median"), share("words_sigma")
        )
        count: I64 = np.clip(length, share("words_min"), share("words_max")).astype(
            np.int64
        )
        starts = np.cumsum(count) - count
        # Counter of a word: its row and its number in the row (below 64).
        counters = np.repeat(rows * 64 - starts, count)
        counters += np.arange(len(counters))
        bits = cells.stream("content").bits(counters) >> np.uint64(64 - _WORD_BITS)
        words = self._word_table[bits.astype(np.int64)].astype(np.int32)
        for number, term in enumerate(self.context.profile.terms_of("messages.content")):
            holds = term.holds(rows)
            words[starts[holds] + 1] = int(share("vocabulary")) + number
        return pc.binary_join(lists(count, self._vocabulary.take(pa.array(words))), " ")

    def _mentions(self, rows: I64, conversation: I64) -> Array:
        """uuid[]: one to three participants in 6 % of the messages."""
        cells, participants = self.cells, self.talk.participants
        first = participants.starts[conversation]
        size = participants.starts[conversation + 1] - first
        most = np.minimum(size, int(cells.share("mentions_max")))
        count = 1 + cells.stream("mentions#count").below(rows, most)
        count[~cells.true("mentions", rows)] = 0
        starts = np.cumsum(count) - count
        number = row_range(0, int(count.sum())) - np.repeat(starts, count)
        begin = cells.stream("mentions#who").below(rows, size)
        slot = (np.repeat(begin, count) + number) % np.repeat(size, count)
        user = participants.members[np.repeat(first, count) + slot]
        return lists(count, self.talk.people.users.id_of(user))

    @cached_property
    def _ready_attachments(self) -> Array:
        rows = row_range(0, _ATTACHMENTS)
        ids = uuid_text(self.cells.stream("attachments#id").uuid_bytes(rows))
        sizes = text_of(
            20_000 + self.cells.stream("attachments#size").below(rows, 5_000_000)
        )
        subject = take(FILE_SUBJECTS, rows % len(FILE_SUBJECTS))
        one = join('{"id":"', ids, '","name":"', subject, '.pdf","size":', sizes, "}")
        return pa.concat_arrays([pa.array([JSON + "[]"]), join(JSON + "[", one, "]")])

    def _attachments(self, rows: I64, kind: I64) -> Array:
        """Only messages of the types file and image carry any."""
        cells, kinds = self.cells, self.cells.choice("message_type")
        carriers = [kinds.values.index("file"), kinds.values.index("image")]
        chance = cells.share("attachments") / sum(kinds.shares[code] for code in carriers)
        has = np.isin(kind, carriers) & cells.stream("attachments").true(rows, chance)
        which = 1 + cells.stream("attachments#which").below(rows, _ATTACHMENTS)
        return take(self._ready_attachments, np.where(has, which, 0))

    # reactions -----------------------------------------------------------
    @cached_property
    def _reactions(self) -> tuple[I64, I64, I64]:
        """Message, time, and participant slot * 16 + reaction, in time order."""
        cells, talk = self.context.cells("message_reactions"), self.talk
        wanted, total = self.context.count("message_reactions"), len(talk.place)
        keys = np.zeros(0, np.int64)
        extra = 1.03
        while len(keys) < wanted:
            rows = row_range(0, int(wanted * extra) + 8)
            message = cells.stream("message_id").below(rows, total)
            conversation = talk.conversation_of(message)
            starts = talk.participants.starts
            size = np.minimum(starts[conversation + 1] - starts[conversation], 4096)
            slot = cells.stream("user_id").below(rows, size)
            reaction = cells.choice("reaction").codes(
                cells.stream("reaction").uniform(rows)
            )
            keys = np.unique((message << 16) | (slot << 4) | reaction)
            extra += 0.1
        # Leave out a few everywhere, not the newest.
        drop = np.argsort(cells.stream("drop").bits(keys), kind="stable")[
            : len(keys) - wanted
        ]
        keys = np.delete(keys, drop)
        message = keys >> 16
        wait = cells.stream("created_at").exponential(
            keys, cells.share("delay_median_minutes")
        )
        at = talk.time_of(message) + (wait * MINUTE).astype(np.int64)
        at = np.minimum(at, self.context.time.now)
        order = np.argsort(at, kind="stable")
        return message[order], at[order], (keys & 0xFFFF)[order]

    def reaction_columns(self, rows: I64) -> Columns:
        """The cells of message_reactions."""
        cells, talk = self.context.cells("message_reactions"), self.talk
        message, at, who = (column[rows] for column in self._reactions)
        conversation = talk.conversation_of(message)
        user = talk.participants.members[
            talk.participants.starts[conversation] + (who >> 4)
        ]
        return {
            "id": cells.ids(rows),
            "message_id": self.cells.id_of(message),
            "user_id": talk.people.users.id_of(user),
            "reaction": take(cells.choice("reaction").values, who & 15),
            "created_at": timestamps(at),
        }

    def sources(self) -> tuple[TableSource, ...]:
        """Messages and reactions."""
        count = self.context.count
        return (
            TableSource("messages", int(self.talk.message_counts.sum()), self.columns),
            TableSource(
                "message_reactions", count("message_reactions"), self.reaction_columns
            ),
        )
