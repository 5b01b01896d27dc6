"""Notifications, invoices, the price list, leads and portfolios."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fluxlab.dataset.arrow import Array, pa, pc
from fluxlab.dataset.cells import Columns, TableSource, Tags, document
from fluxlab.dataset.columns import (
    DAY,
    JSON,
    MINUTE,
    booleans,
    constant,
    dates,
    decimals,
    either,
    integers,
    join,
    only,
    take,
    text_of,
    timestamps,
    uuid_text,
)
from fluxlab.dataset.projects import ACTIVE, COMPLETED
from fluxlab.dataset.spread import apportion, slots_of, starts_of
from fluxlab.dataset.streams import I64, Bools, row_range
from fluxlab.dataset.words import FIRST_NAMES, LAST_NAMES, PLACES, SHOW_FIRST, SHOW_SECOND
from fluxlab.dataset.work import Work


class Business:
    """Parents and times of everything around the work."""

    def __init__(self, work: Work) -> None:
        self.work, self.people, self.context = work, work.people, work.context
        self.now = self.context.time.now

    # notifications -------------------------------------------------------
    @cached_property
    def _notifications(self) -> tuple[I64, I64]:
        """User and time of every notification, in time order."""
        cells, people = self.context.cells("notifications"), self.people
        rows = row_range(0, self.context.count("notifications"))
        uniform = cells.stream("user_id").uniform(rows) ** (
            1 / (1 - cells.share("user_exponent"))
        )
        shuffled = np.argsort(cells.stream("rank").bits(people.user_rows), kind="stable")
        user = shuffled[np.floor(uniform * len(shuffled)).astype(np.int64)]
        since = people.user_created[user]
        until = np.full_like(since, self.now)
        at = self.context.time.between(
            since, until, cells.stream("created_at").uniform(rows)
        )
        order = np.argsort(at, kind="stable")
        return user[order], at[order]

    @cached_property
    def _old_read_share(self) -> float:
        """The share read among the older ones, so that the profile's share comes out."""
        cells = self.context.cells("notifications")
        recent = float((self._notifications[1] > self._recent).mean())
        return (cells.share("is_read") - recent * cells.share("recent_read")) / (1 - recent)

    @property
    def _recent(self) -> int:
        cells = self.context.cells("notifications")
        return int(self.now - cells.share("recent_days") * DAY)

    def notification_columns(self, rows: I64) -> Columns:
        """The cells of notifications: read_at and is_read always agree."""
        cells = self.context.cells("notifications")
        user, at = (column[rows] for column in self._notifications)
        chance = np.where(
            at > self._recent, cells.share("recent_read"), self._old_read_share
        )
        is_read = cells.stream("is_read").true(rows, chance)
        wait = cells.stream("read_at").exponential(
            rows, cells.share("read_delay_median_minutes")
        )
        read = np.minimum(at + (wait * MINUTE).astype(np.int64), self.now)
        project = cells.stream("project").below(rows, len(self.work.rows))
        link = uuid_text(self.work.projects.stream("id").uuid_bytes(project))
        expires = cells.true("expires_at", rows)
        past = cells.stream("expired").true(rows, cells.share("expired"))
        life = cells.stream("expires_at#when").uniform(rows)
        gone = at + ((self.now - at) * life).astype(np.int64)
        due = self.now + 1 + (life * 30 * DAY).astype(np.int64)
        kind = cells.chosen("type", rows)
        spoken = pc.replace_substring(kind, "_", " ")
        return {
            "id": cells.ids(rows),
            "user_id": self.people.users.id_of(user),
            "type": kind,
            "title": pc.utf8_capitalize(spoken),
            "message": join(
                pc.utf8_capitalize(spoken), ": ", cells.sentence("message", rows, 8)
            ),
            "data": document({"projectId": join('"', link, '"')}),
            "priority": cells.chosen("priority", rows),
            "is_read": booleans(is_read),
            "read_at": timestamps(read, is_read),
            "action_url": join("/projects/", link),
            "expires_at": timestamps(np.where(past, gone, due), expires),
            "created_at": timestamps(at),
        }

    # invoices ------------------------------------------------------------
    @cached_property
    def _invoices(self) -> tuple[I64, I64, Bools]:
        """Project, time, and whether the invoice names the project, in time order."""
        cells, work = self.context.cells("invoices"), self.work
        weights = np.where(np.isin(work.status, (ACTIVE, COMPLETED)), 1.0, 0.2)
        weights = weights * (0.4 + cells.stream("size").uniform(work.rows))
        project, _ = slots_of(apportion(self.context.count("invoices"), weights))
        rows = row_range(0, len(project))
        uniform = cells.stream("created_at").uniform(rows)
        at = self.context.time.between(work.created[project], work.end[project], uniform)
        order = np.argsort(at, kind="stable")
        named = ~cells.true("project_id_null", rows)
        return project[order], at[order], named

    @cached_property
    def _invoice_numbers(self) -> Array:
        """FS-YYYYMM-NNNN, counted from 1 in every month."""
        at = (
            self._invoices[1]
            .astype("datetime64[ms]")
            .astype("datetime64[M]")
            .astype(np.int64)
        )
        rows = row_range(0, len(at))
        first = np.concatenate([[True], at[1:] != at[:-1]])
        number = rows - np.maximum.accumulate(np.where(first, rows, 0)) + 1
        year, month = 1970 + at // 12, at % 12 + 1
        return join("FS-", text_of(year), text_of(month, 2), "-", text_of(number, 4))

    @cached_property
    def _invoice_status(self) -> I64:
        """Newest: draft and sent; overdue ones are a month old; the rest are paid."""
        cells, count = self.context.cells("invoices"), len(self._invoices[0])
        choice, rows = cells.choice("status"), row_range(0, count)
        aged = np.argsort(
            rows / count + 0.15 * cells.stream("status").uniform(rows), kind="stable"
        )
        status = np.full(count, choice.values.index("paid"), np.int64)
        end = count
        for name in ("draft", "sent", "overdue"):
            first = end - round(choice.share(name) * count)
            status[aged[first:end]] = choice.values.index(name)
            end = first
        paid = aged[:end]
        order = np.argsort(cells.stream("cancelled").uniform(paid), kind="stable")
        cancelled = paid[order[: round(choice.share("cancelled") * count)]]
        status[cancelled] = choice.values.index("cancelled")
        return status

    def invoice_columns(self, rows: I64) -> Columns:
        """The cells of invoices: the paid, and only they, have paid_at."""
        cells, work = self.context.cells("invoices"), self.work
        project, at = self._invoices[0][rows], self._invoices[1][rows]
        named = self._invoices[2][rows]
        status, names = self._invoice_status[rows], cells.choice("status").values
        paid = status == names.index("paid")
        part = np.array([100, 50, 25])[cells.stream("part").below(rows, 3)]
        amount = work.price()[project] * part
        rate = (
            cells.stream("tax_rate").uniform(rows) * cells.share("tax_max") * 1000
        ).astype(int)
        rate = np.where(cells.true("tax_free", rows), 0, rate)
        tax = amount * rate // 1000
        client = work.client[project]
        owner = self.people.organization_creator[work.organization[project]]
        terms = cells.stream("due_date").below(rows, 2) * 15 + 15
        wait = (cells.stream("paid_at").exponential(rows, 9.0) * DAY).astype(np.int64)
        paid_at = np.minimum(at + wait, self.now)
        reference = text_of(
            (cells.stream("stripe").bits(rows) >> np.uint64(8)).astype(np.int64)
        )
        sent = status != names.index("draft")
        kinds = take([kind.name for kind in work.types], work.type_code[project])
        item = join(
            JSON + '[{"description":"', kinds, '","amount":', text_of(amount // 100), "}]"
        )
        return {
            "id": cells.ids(rows),
            "invoice_number": self._invoice_numbers.take(pa.array(rows)),
            "organization_id": self.people.organizations.id_of(work.organization[project]),
            "client_id": self.people.users.id_of(np.where(client >= 0, client, owner)),
            "project_id": work.projects.id_of(project, named),
            "amount": decimals(amount, 10),
            "tax_amount": decimals(tax, 10),
            "total_amount": decimals(amount + tax, 10),
            "currency": cells.chosen("currency", rows),
            "status": take(names, status),
            "due_date": dates(at // DAY + terms),
            "paid_at": timestamps(paid_at, paid),
            "stripe_invoice_id": only(sent, join("in_", reference)),
            "stripe_payment_intent_id": only(paid, join("pi_", reference)),
            "line_items": item,
            "notes": only(cells.true("notes", rows), cells.sentence("notes", rows, 6)),
            "created_at": timestamps(at),
            "updated_at": timestamps(np.where(paid, paid_at, at)),
        }

    # price list ----------------------------------------------------------
    def package_columns(self, rows: I64) -> Columns:
        """The cells of service_packages: one per type, then larger variants of some."""
        cells, kinds = self.context.cells("service_packages"), self.work.types
        kind = rows % len(kinds)
        variant = rows >= len(kinds)
        name = take([kind.name for kind in kinds], kind)
        slug = join(name, either(variant, "-plus", ""))
        price = np.array([kind.price for kind in kinds])[kind] * np.where(variant, 150, 100)
        weeks = np.array([kind.weeks for kind in kinds])[kind]
        active = rows < self.context.count("service_packages") - int(
            cells.share("inactive")
        )
        made = np.full(len(rows), self.context.time.start)
        return {
            "id": cells.ids(rows),
            "name": pc.utf8_title(pc.replace_substring(slug, "-", " ")),
            "slug": slug,
            "description": cells.sentence("description", rows, 14),
            "service_category": take([kind.category for kind in kinds], kind),
            "service_tier": take([kind.tier for kind in kinds], kind),
            "base_price": decimals(price, 10),
            "estimated_hours": integers(weeks * 12),
            "deliverables": join(JSON + '["', name, '","review call"]'),
            "inclusions": constant(JSON + '["two revisions"]', len(rows)),
            "exclusions": constant(JSON + '["travel"]', len(rows)),
            "is_active": booleans(active),
            "created_at": timestamps(made),
            "updated_at": timestamps(made),
        }

    # leads ---------------------------------------------------------------
    @cached_property
    def _requests(self) -> I64:
        rows = row_range(0, self.context.count("client_requests"))
        stream = self.context.cells("client_requests").stream("created_at")
        start = np.full(len(rows), self.context.time.start)
        # Evenly spread numbers give ascending moments.
        uniform = (rows + stream.uniform(rows)) / len(rows)
        return self.context.time.between(start, np.full_like(start, self.now), uniform)

    def request_columns(self, rows: I64) -> Columns:
        """The cells of client_requests."""
        cells, profile, at = (
            self.context.cells("client_requests"),
            self.context.profile,
            self._requests[rows],
        )
        first = take(FIRST_NAMES, cells.stream("first").below(rows, len(FIRST_NAMES)))
        last = take(LAST_NAMES, cells.stream("last").below(rows, len(LAST_NAMES)))
        place = take(PLACES, cells.stream("place").below(rows, len(PLACES)))
        shared = {}
        for name in ("ensemble_type", "service_category", "service_tier"):
            choice = profile.choice(f"projects.{name}")
            shared[name] = take(
                choice.values, choice.codes(cells.stream(name).uniform(rows))
            )
        staff = self.people.staff_at(at, cells.stream("assigned_to").uniform(rows))
        answered = cells.stream("updated_at").exponential(rows, 3.0) * DAY
        updated = np.minimum(at + answered.astype(np.int64), self.now)
        email = join(first, ".", last, ".lead", text_of(rows + 1), "@example.net")
        return {
            "id": cells.ids(rows),
            "name": join(first, " ", last),
            "email": pc.utf8_lower(email),
            "phone": only(
                cells.stream("phone").true(rows, 0.6),
                join("+1 555 555 ", text_of(cells.stream("digits").below(rows, 10_000), 4)),
            ),
            "organization_name": only(
                cells.stream("named").true(rows, 0.8), join(place, " Band Boosters")
            ),
            **shared,
            "project_description": cells.sentence("project_description", rows, 16),
            "budget_range": cells.chosen("budget_range", rows),
            "timeline": cells.chosen("timeline", rows),
            "status": cells.chosen("status", rows),
            "assigned_to": self.people.users.id_of(
                staff, ~cells.true("assigned_to_null", rows)
            ),
            "notes": only(
                cells.stream("noted").true(rows, 0.3), cells.sentence("notes", rows, 7)
            ),
            "metadata": constant(JSON + '{"form":"website"}', len(rows)),
            "created_at": timestamps(at),
            "updated_at": timestamps(updated),
        }

    # portfolios ----------------------------------------------------------
    @cached_property
    def _portfolios(self) -> tuple[I64, I64]:
        """Designer and time of every portfolio, in time order; one designer has one."""
        cells, people = self.context.cells("portfolios"), self.people
        shuffled = np.argsort(cells.stream("user_id").bits(people.staff), kind="stable")
        owner = people.staff[shuffled[: self.context.count("portfolios")]]
        missing = self.context.count("portfolios") - len(owner)
        if missing > 0:  # a tiny database may have fewer designers than portfolios
            owner = np.concatenate([owner, people.clients[:missing]])
        wait = cells.stream("created_at").exponential(owner, 20.0) * DAY
        at = np.minimum(people.user_created[owner] + wait.astype(np.int64), self.now)
        order = np.argsort(at, kind="stable")
        return owner[order], at[order]

    def portfolio_columns(self, rows: I64) -> Columns:
        """The cells of portfolios."""
        cells = self.context.cells("portfolios")
        owner, at = (column[rows] for column in self._portfolios)
        number = text_of(rows + 1)
        return {
            "id": cells.ids(rows),
            "user_id": self.people.users.id_of(owner),
            "title": join("Portfolio of ", take(LAST_NAMES, owner % len(LAST_NAMES))),
            "description": cells.sentence("description", rows, 12),
            "is_public": cells.flag("is_public", rows),
            "cover_image_url": join("https://cdn.example.com/covers/", number, ".jpg"),
            "settings": constant(JSON + "{}", len(rows)),
            "created_at": timestamps(at),
            "updated_at": timestamps(at),
        }

    @cached_property
    def _items(self) -> tuple[I64, I64, I64]:
        """Portfolio, time and place of every item, in time order."""
        cells = self.context.cells("portfolio_items")
        owner, made = self._portfolios
        weights = 0.3 + cells.stream("size").uniform(row_range(0, len(owner)))
        sizes = apportion(self.context.count("portfolio_items"), weights)
        portfolio, place = slots_of(sizes)
        start = made[portfolio]
        # The items of a portfolio are added one after the other.
        uniform = place + cells.stream("created_at").uniform(
            starts_of(sizes)[portfolio] + place
        )
        at = start + ((self.now - start) * uniform / sizes[portfolio]).astype(np.int64)
        order = np.argsort(at, kind="stable")
        return portfolio[order], at[order], place[order]

    def item_columns(self, rows: I64) -> Columns:
        """The cells of portfolio_items."""
        cells = self.context.cells("portfolio_items")
        portfolio, at, place = (column[rows] for column in self._items)
        known = np.maximum(np.searchsorted(self.work.created, at), 1)
        project = cells.stream("project_id").below(rows, known)
        first = take(SHOW_FIRST, cells.stream("first").below(rows, len(SHOW_FIRST)))
        second = take(SHOW_SECOND, cells.stream("second").below(rows, len(SHOW_SECOND)))
        return {
            "id": cells.ids(rows),
            "portfolio_id": self.context.cells("portfolios").id_of(portfolio),
            "project_id": self.work.projects.id_of(
                project, ~cells.true("project_id_null", rows)
            ),
            "title": join(first, " ", second),
            "description": cells.sentence("description", rows, 8),
            "image_url": join("https://cdn.example.com/items/", text_of(rows + 1), ".jpg"),
            "category": cells.chosen("category", rows),
            "tags": Tags(cells, "tags").column(rows),
            "order_index": integers(place),
            "is_featured": cells.flag("is_featured", rows),
            "created_at": timestamps(at),
        }

    def sources(self) -> tuple[TableSource, ...]:
        """The six tables around the work."""
        count = self.context.count
        return (
            TableSource("notifications", count("notifications"), self.notification_columns),
            TableSource("invoices", count("invoices"), self.invoice_columns),
            TableSource(
                "service_packages", count("service_packages"), self.package_columns
            ),
            TableSource("client_requests", count("client_requests"), self.request_columns),
            TableSource("portfolios", len(self._portfolios[0]), self.portfolio_columns),
            TableSource("portfolio_items", count("portfolio_items"), self.item_columns),
        )
