"""Users: who signed up when, and as what."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fluxlab.dataset.arrow import Array, pc
from fluxlab.dataset.cells import Columns, Context
from fluxlab.dataset.columns import (
    DAY,
    JSON,
    join,
    only,
    take,
    text_of,
    timestamps,
)
from fluxlab.dataset.streams import F64, I64, row_range
from fluxlab.dataset.words import (
    FIRST_NAMES,
    LAST_NAMES,
)

_PREFERENCES = (
    '"weekly_digest":true',
    '"theme":"dark"',
    '"email_notifications":false',
    '"language":"en"',
)


class Accounts:
    """Types and times of the users, and their cells."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.users = context.cells("users")
        self.user_rows = row_range(0, context.count("users"))

    @cached_property
    def user_created(self) -> I64:
        """When each user signed up, ascending."""
        return self.context.time.stratified(
            self.users.stream("created_at").uniform(self.user_rows)
        )

    @cached_property
    def _user_types(self) -> I64:
        uniform = self.users.stream("user_type").uniform(self.user_rows)
        return self.users.choice("user_type").codes(uniform)

    @cached_property
    def staff(self) -> I64:
        """Users who design; the first to sign up are the busiest."""
        code = self.users.choice("user_type").values.index("designer")
        return np.flatnonzero(self._user_types == code)

    @cached_property
    def clients(self) -> I64:
        """Users who order."""
        code = self.users.choice("user_type").values.index("client")
        return np.flatnonzero(self._user_types == code)

    def known(self, time_ms: I64) -> I64:
        """How many users existed at each of these moments, at least one."""
        count = np.searchsorted(self.user_created, time_ms, side="right")
        return np.maximum(count, 1).astype(np.int64)

    def staff_at(self, time_ms: I64, uniform: F64) -> I64:
        """A designer who had signed up by then; early ones are chosen more often."""
        signed_up = self.user_created[self.staff]
        count = np.maximum(np.searchsorted(signed_up, time_ms, side="right"), 1)
        return self.staff[np.floor(uniform**1.5 * count).astype(np.int64)]

    def user_columns(self, rows: I64) -> Columns:
        """The cells of users."""
        cells, created = self.users, self.user_created[rows]
        first = take(FIRST_NAMES, cells.stream("first").below(rows, len(FIRST_NAMES)))
        first = cells.with_terms("name", rows, first)
        last = take(LAST_NAMES, cells.stream("last").below(rows, len(LAST_NAMES)))
        provider = cells.chosen("oauth_provider", rows)
        by_password = provider.is_null().to_numpy(zero_copy_only=False)
        number = text_of(rows + 1)
        age_days = cells.stream("login_age").exponential(
            rows, cells.share("last_login_age_median_days")
        )
        seen = self.context.time.now - (age_days * DAY).astype(np.int64)
        # Longer ago than the account exists: somewhere in its life instead.
        life = self.context.time.now - created
        anywhere = created + (cells.stream("login_any").uniform(rows) * life).astype(
            np.int64
        )
        seen = np.where(seen < created, anywhere, seen)
        logged_in = ~cells.stream("last_login").true(rows, cells.share("last_login_null"))
        digits = text_of(cells.stream("phone#digits").below(rows, 10_000), 4)
        hashed = cells.stream("password").bits(rows) % np.uint64(10**15)
        return {
            "id": cells.ids(rows),
            "email": pc.utf8_lower(join(first, ".", last, ".", number, "@example.com")),
            "name": join(first, " ", last),
            "password_hash": only(
                by_password,
                join("$2b$12$", text_of(hashed.astype(np.int64), 22), "K9uQ4v7xZ2"),
            ),
            "user_type": take(cells.choice("user_type").values, self._user_types[rows]),
            "avatar_url": only(
                cells.true("avatar_url", rows),
                join("https://cdn.example.com/avatars/", number, ".png"),
            ),
            "phone": only(cells.true("phone", rows), join("+1 555 555 ", digits)),
            "timezone": cells.chosen("timezone", rows),
            "preferences": self._preferences(rows),
            "oauth_provider": provider,
            "oauth_id": only(
                ~by_password,
                text_of(10**14 + (hashed % np.uint64(10**14)).astype(np.int64)),
            ),
            "email_verified": cells.flag("email_verified", rows),
            "is_active": cells.flag("is_active", rows),
            "last_login": timestamps(seen, logged_in),
            "created_at": timestamps(created),
            "updated_at": timestamps(np.where(logged_in, seen, created)),
        }

    def _preferences(self, rows: I64) -> Array:
        texts = [
            JSON
            + "{"
            + ",".join(p for k, p in enumerate(_PREFERENCES) if mask >> k & 1)
            + "}"
            for mask in range(16)
        ]
        mask = 1 + self.users.stream("preferences#keys").below(rows, 15)
        return take(texts, np.where(self.users.true("preferences", rows), mask, 0))
