"""The generated rows against data/profile.toml, at 1,000 users and without a server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fluxlab.dataset.generate import table_sources
from fluxlab.dataset.profile import KEYS, PROFILE_PATH, Profile, Term, load_profile
from fluxlab.errors import FluxlabError

USERS = 1_000

#: Shares whose column has another name or another meaning than "true".
SET = {
    "users.preferences": ("preferences", "\x01{}", False),
    "users.avatar_url": ("avatar_url", None, False),
    "users.phone": ("phone", None, False),
    "users.last_login_null": ("last_login", None, True),
    "organizations.stripe_customer_id": ("stripe_customer_id", None, False),
    "teams.lead_id": ("lead_id", None, False),
    "projects.due_date_null": ("due_date", None, True),
    "projects.client_id_null": ("client_id", None, True),
    "projects.team_id_null": ("team_id", None, True),
    "projects.template_id": ("template_id", None, False),
    "project_milestones.assigned_to": ("assigned_to", None, False),
    "project_milestones.due_date_null": ("due_date", None, True),
    "files.project_id_null": ("project_id", None, True),
    "files.revisions": ("parent_file_id", None, False),
    "files.description": ("description", None, False),
    "file_permissions.to_team": ("team_id", None, False),
    "conversations.empty": ("last_message_at", None, True),
    "conversation_participants.last_read_null": ("last_read_at", None, True),
    "messages.reply": ("reply_to_id", None, False),
    "messages.thread": ("thread_id", None, False),
    "messages.deleted": ("deleted_at", None, False),
    "messages.edited": ("edited_at", None, False),
    "messages.attachments": ("attachments", "\x01[]", False),
    "messages.metadata": ("metadata", "\x01{}", False),
    "notifications.expires_at": ("expires_at", None, False),
    "invoices.project_id_null": ("project_id", None, True),
    "invoices.notes": ("notes", None, False),
    "time_entries.start_time": ("start_time", None, False),
    "time_entries.hourly_rate": ("hourly_rate", None, False),
    "client_requests.assigned_to_null": ("assigned_to", None, True),
    "portfolio_items.project_id_null": ("project_id", None, True),
}

TRUE = [
    "users.is_active",
    "users.email_verified",
    "organization_members.is_active",
    "teams.is_private",
    "team_members.is_active",
    "projects.is_template",
    "project_members.is_active",
    "project_milestones.is_required",
    "conversations.is_archived",
    "conversation_participants.is_muted",
    "conversation_participants.is_pinned",
    "notifications.is_read",
    "time_entries.billable",
    "portfolios.is_public",
    "portfolio_items.is_featured",
]

PROFILE = load_profile()
CHOICES = [
    f"{table}.{name}"
    for table, entries in PROFILE.tables.items()
    for name, value in entries.items()
    if isinstance(value, dict) and name not in ("done", "timeline")
]


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    """Every table at 1,000 users."""
    return {
        source.name: pa.Table.from_batches(source.chunks())
        for source in table_sources(PROFILE, USERS, 11)
    }


def tolerance(share: float, rows: int) -> float:
    """Four standard deviations of a share among so many rows, and rounding."""
    return 4.5 * float(np.sqrt(share * (1 - share) / rows)) + 1.5 / rows


@pytest.mark.parametrize("key", CHOICES)
def test_values_come_in_the_shares_of_the_profile(
    tables: dict[str, pa.Table], key: str
) -> None:
    table, name = key.split(".")
    column = tables[table][name]
    choice = PROFILE.choice(key)
    assert set(column.unique().to_pylist()) <= set(choice.values)
    # Revisions share what their original drew, so there are fewer draws than rows.
    draws = len(column) // (3 if key == "files.category" else 1)
    for value, share in zip(choice.values, choice.shares, strict=True):
        hits = (
            column.null_count if value is None else pc.sum(pc.equal(column, value)).as_py()
        )
        assert hits / len(column) == pytest.approx(share, abs=tolerance(share, draws)), (
            value
        )


@pytest.mark.parametrize("key", SET)
def test_columns_are_filled_in_the_shares_of_the_profile(
    tables: dict[str, pa.Table], key: str
) -> None:
    name, nothing, counts_nothing = SET[key]
    column = tables[key.split(".")[0]][name]
    empty = pc.is_null(column) if nothing is None else pc.equal(column, nothing)
    found = pc.mean(empty).as_py() if counts_nothing else 1 - pc.mean(empty).as_py()
    share = PROFILE.number(key)
    assert found == pytest.approx(share, abs=tolerance(share, len(column)) + 0.003)


@pytest.mark.parametrize("key", TRUE)
def test_booleans_are_true_in_the_shares_of_the_profile(
    tables: dict[str, pa.Table], key: str
) -> None:
    table, name = key.split(".")
    column = tables[table][name]
    share = PROFILE.number(key)
    assert pc.mean(column).as_py() == pytest.approx(
        share, abs=tolerance(share, len(column))
    )


def test_only_the_named_booleans_hold_nulls(tables: dict[str, pa.Table]) -> None:
    named = set(PROFILE.tables["booleans"]["nullable_booleans"])  # type: ignore[call-overload]
    nulls = {
        f"{table}.{name}": content[name].null_count
        for table, content in tables.items()
        for name in content.column_names
        if content.schema.field(name).type == pa.bool_()
    }
    assert {key for key, count in nulls.items() if count} <= named
    # 15,000 time entries are enough to expect some.
    share = PROFILE.number("booleans.null_booleans")
    rows = tables["time_entries"].num_rows
    assert nulls["time_entries.billable"] / rows == pytest.approx(
        share, abs=tolerance(share, rows)
    )


@pytest.mark.parametrize("users", [100, 1_000, 10_000])
def test_row_counts_follow_the_ratios(users: int) -> None:
    for source in table_sources(PROFILE, users, 11):
        wanted = PROFILE.rows(source.name, users)
        # Memberships may miss a few where a group has fewer people than places.
        assert source.rows == pytest.approx(wanted, rel=0.005, abs=2), source.name


def test_the_hottest_hundredth_of_the_conversations_holds_the_wanted_share(
    tables: dict[str, pa.Table],
) -> None:
    counts = np.sort(tables["messages"]["conversation_id"].value_counts().field("counts"))
    top = counts[-len(tables["conversations"]) // 100 :].sum() / counts.sum()
    assert top == pytest.approx(PROFILE.number("messages.top_share"), abs=0.03)


def test_most_organizations_are_solo_and_a_few_are_large(
    tables: dict[str, pa.Table],
) -> None:
    sizes = np.array(
        tables["organization_members"]["organization_id"].value_counts().field("counts")
    )
    assert (sizes == 1).mean() == pytest.approx(
        PROFILE.number("organizations.solo"), abs=0.01
    )
    assert 1 <= (sizes >= 50).sum() <= 12
    assert sizes.max() <= PROFILE.number("organizations.members_max")


def test_projects_have_a_heavy_tail_below_the_cap(tables: dict[str, pa.Table]) -> None:
    sizes = np.array(tables["projects"]["organization_id"].value_counts().field("counts"))
    cap = PROFILE.number("projects.per_organization_max")
    assert 6 * sizes.mean() < sizes.max() <= cap


def test_a_thread_is_geometric_and_never_longer_than_the_limit(
    tables: dict[str, pa.Table],
) -> None:
    threads = tables["messages"]["thread_id"].drop_null().value_counts().field("counts")
    sizes = np.array(threads)
    assert sizes.max() <= PROFILE.number("messages.thread_max")
    assert sizes.mean() == pytest.approx(PROFILE.number("messages.thread_mean"), rel=0.15)
    assert np.median(sizes) < sizes.mean()


def test_mentions_hold_one_to_three_different_people(tables: dict[str, pa.Table]) -> None:
    mentions = tables["messages"]["mentions"]
    sizes = np.array(pc.list_value_length(mentions))
    share = PROFILE.number("messages.mentions")
    assert (sizes > 0).mean() == pytest.approx(share, abs=tolerance(share, len(sizes)))
    assert set(sizes.tolist()) == {0, 1, 2, 3}
    some = mentions.filter(pc.greater(pc.list_value_length(mentions), 1))
    assert all(len(set(people)) == len(people) for people in some.to_pylist())


def test_messages_have_the_wanted_lengths(tables: dict[str, pa.Table]) -> None:
    words = np.array(pc.count_substring(tables["messages"]["content"], " ")) + 1
    assert words.min() == PROFILE.number("messages.words_min")
    assert words.max() == PROFILE.number("messages.words_max")
    assert np.median(words) == pytest.approx(PROFILE.number("messages.words_median"), abs=1)


def test_words_follow_zipf(tables: dict[str, pa.Table]) -> None:
    words = pc.list_flatten(pc.split_pattern(tables["messages"]["content"], " "))
    counts = np.sort(np.array(words.value_counts().field("counts")))[::-1]
    assert len(counts) > 15_000
    # With exponent 1 a rank ten times higher is ten times rarer (2.7 is the shift).
    assert counts[9] / counts[99] == pytest.approx((99 + 2.7) / (9 + 2.7), rel=0.15)


@pytest.mark.parametrize("term", PROFILE.terms, ids=lambda term: term.word)
def test_search_terms_stand_in_exactly_the_known_rows(
    tables: dict[str, pa.Table], term: Term
) -> None:
    table, name = term.column.split(".")
    column = tables[table][name]
    if pa.types.is_list(column.type):
        column = pc.binary_join(column, " ")
    holds = np.array(pc.match_substring(column, term.word))
    rows = np.arange(len(column))
    assert np.array_equal(holds, term.holds(rows))
    assert holds.sum() == term.count(len(column))


def test_the_last_minutes_hours_and_days_hold_messages(tables: dict[str, pa.Table]) -> None:
    now = np.datetime64(PROFILE.now.replace(tzinfo=None), "us")
    age = now - tables["messages"]["created_at"].to_numpy()
    assert age.min() >= np.timedelta64(0)
    hour, day = np.timedelta64(1, "h"), np.timedelta64(1, "D")
    counts = [int((age < limit).sum()) for limit in (hour, day, 7 * day, 30 * day)]
    assert 0 < counts[0] < counts[1] < counts[2] < counts[3] < len(age) / 5


def test_nothing_but_due_and_expiry_dates_is_later_than_now(
    tables: dict[str, pa.Table],
) -> None:
    now = np.datetime64(PROFILE.now.replace(tzinfo=None), "us")
    for table, content in tables.items():
        for name in content.column_names:
            kind = content.schema.field(name).type
            if pa.types.is_timestamp(kind) and name != "expires_at":
                newest = pc.max(content[name]).as_py().replace(tzinfo=None)
                assert np.datetime64(newest) <= now, f"{table}.{name}"


def test_every_table_is_inserted_in_time_order(tables: dict[str, pa.Table]) -> None:
    for table, content in tables.items():
        name = next(
            n
            for n in ("created_at", "joined_at", "granted_at")
            if n in content.column_names
        )
        at = content[name].to_numpy()
        assert (at[1:] >= at[:-1]).all(), table


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("client = 0.80", "client = 0.70", "users.user_type"),
        ("client = 0.80", "client = 1.80", "users.user_type"),
        ("[booleans]", "[booleans]\nmany = 1", "booleans.many"),
        ("growth = 4.0", "", "time.growth"),
        ("is_active = 0.94", 'is_active = "often"', "users.is_active"),
        ("now = 2025-10-12T12:00:00Z", "now = 2025-10-12", "now"),
        ('word = "hemiola"', 'word = "hemiola"\nevery = 3', "terms[3].every"),
        ("share = 0.26", "share = 0.25", "mime_types.share"),
    ],
)
def test_a_faulty_profile_is_refused_with_file_and_key(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    path = tmp_path / "profile.toml"
    path.write_text(PROFILE_PATH.read_text().replace(old, new, 1))
    with pytest.raises(FluxlabError) as caught:
        load_profile(path)
    assert "profile.toml" in caught.value.what
    assert key in caught.value.what


def test_the_generator_uses_every_key_of_the_profile() -> None:
    asked: set[str] = set()

    class Watched(Profile):
        def number(self, key: str) -> float:
            asked.add(key)
            return super().number(key)

        def numbers(self, key: str) -> tuple[float, ...]:
            asked.add(key)
            return super().numbers(key)

        def choice(self, key: str) -> object:  # type: ignore[override]
            asked.add(key)
            return super().choice(key)

    profile = Watched(
        **{name: getattr(PROFILE, name) for name in Profile.__dataclass_fields__}
    )
    for source in table_sources(profile, 100, 11):
        for _ in source.chunks():
            pass
    known = {f"{table}.{name}" for table, names in KEYS.items() for name in names.split()}
    assert known - asked <= {"users.rows", "booleans.nullable_booleans"}
