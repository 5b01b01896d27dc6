"""data/profile.toml as a value: ratios, shares, terms and prices, checked when read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fluxlab.dataset.streams import F64, I64
from fluxlab.errors import FluxlabError
from fluxlab.settings import ROOT

PROFILE_PATH = ROOT / "data" / "profile.toml"

#: Every key a table of the profile has: no other is read, none may be missing.
KEYS: Mapping[str, str] = {
    "time": "growth weekday_weights hour_weights month_weights",
    "booleans": "null_booleans nullable_booleans",
    "users": "rows user_type oauth_provider timezone is_active email_verified preferences"
    " avatar_url phone last_login_null last_login_age_median_days",
    "organizations": "rows type subscription_tier subscription_status stripe_customer_id"
    " solo members_exponent members_max",
    "organization_members": "rows role is_active",
    "teams": "rows members_min per_organization_max is_private lead_id",
    "team_members": "rows role is_active",
    "projects": "rows exponent per_organization_max status priority service_category"
    " service_tier ensemble_type due_date_null client_id_null team_id_null is_template"
    " template_id tags_empty tags_max tag_vocabulary season_shift",
    "project_members": "rows role is_active",
    "project_milestones": "rows done assigned_to is_required due_date_null",
    "files": "rows exponent project_id_null category status revisions star_originals"
    " star_revisions_mean chain_revisions_mean chain_max size_sigma size_max_mb"
    " description",
    "file_permissions": "rows permission_type to_team",
    "conversations": "rows type is_archived empty alive lifetime_median_days",
    "conversation_participants": "rows direct is_muted is_pinned role last_read_null"
    " caught_up stale_exponent",
    "messages": "rows top_share message_type status priority reply thread thread_mean"
    " thread_max reply_distance_median deleted edited mentions mentions_max attachments"
    " metadata words_median words_sigma words_min words_max vocabulary"
    " vocabulary_exponent author_exponent",
    "message_reactions": "rows reaction delay_median_minutes",
    "notifications": "rows type priority is_read recent_days recent_read"
    " read_delay_median_minutes expires_at expired user_exponent",
    "invoices": "rows status currency tax_max tax_free project_id_null notes",
    "time_entries": "rows billable hours_median hours_sigma start_time hourly_rate",
    "service_packages": "fixed_rows inactive",
    "client_requests": "rows status budget_range timeline assigned_to_null",
    "portfolios": "rows is_public",
    "portfolio_items": "rows category is_featured project_id_null",
}

#: Tables of values that are not shares of one whole.
_RATES = frozenset({"project_milestones.done"})

_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class Choice:
    """Values of a column and the share of each; the value None stands for NULL."""

    values: tuple[str | None, ...]
    shares: tuple[float, ...]

    def codes(self, uniform: F64) -> I64:
        """The place of one value per number in [0, 1)."""
        limits = np.cumsum(self.shares)[:-1]
        return np.searchsorted(limits, uniform, side="right").astype(np.int64)

    def share(self, value: str | None) -> float:
        """The share of one value."""
        return self.shares[self.values.index(value)]


@dataclass(frozen=True, slots=True)
class Term:
    """A search word that stands in exactly known rows of a column."""

    column: str
    word: str
    one_in: int

    def holds(self, rows: I64) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of these rows hold the word."""
        return np.asarray(rows % self.one_in == self.one_in // 5)

    def count(self, rows: int) -> int:
        """How many of the first `rows` rows hold the word."""
        return max(0, rows + self.one_in - self.one_in // 5 - 1) // self.one_in


@dataclass(frozen=True, slots=True)
class ProjectType:
    """One line of the price table."""

    name: str
    category: str
    tier: str
    price: int
    weeks: int
    unit: str = "project"


@dataclass(frozen=True, slots=True)
class MimeType:
    """One kind of upload."""

    name: str
    extension: str
    kind: str
    share: float
    median_kb: int


@dataclass(frozen=True)
class Profile:
    """Everything the generator knows about the shape of the data."""

    path: Path
    now: datetime
    start: datetime
    tables: Mapping[str, Mapping[str, object]]
    terms: tuple[Term, ...]
    project_types: tuple[ProjectType, ...]
    mime_types: tuple[MimeType, ...]

    def choice(self, key: str) -> Choice:
        """Values and shares, e.g. of "users.user_type"."""
        return self._choices[key]

    def number(self, key: str) -> float:
        """A share, a ratio or a size, e.g. of "users.is_active"."""
        value = self._value(key)
        assert isinstance(value, int | float), key
        return float(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of weights."""
        value = self._value(key)
        assert isinstance(value, list), key
        return tuple(float(weight) for weight in value)

    def rows(self, table: str, users: int) -> int:
        """The rows a table should have at this number of users."""
        if "fixed_rows" in self.tables[table]:
            return int(self.number(f"{table}.fixed_rows"))
        return max(1, round(self.number(f"{table}.rows") * users / 1000))

    def terms_of(self, column: str) -> tuple[Term, ...]:
        """The search terms of a column, the most frequent first."""
        return tuple(term for term in self.terms if term.column == column)

    def null_share(self, column: str) -> float:
        """The share of NULL in a boolean column."""
        nullable = self._value("booleans.nullable_booleans")
        assert isinstance(nullable, list)
        return self.number("booleans.null_booleans") if column in nullable else 0.0

    def _value(self, key: str) -> object:
        table, _, name = key.partition(".")
        return self.tables[table][name]

    @cached_property
    def _choices(self) -> dict[str, Choice]:
        return {
            f"{table}.{name}": Choice(
                tuple(None if text == "none" else text for text in value),
                tuple(float(share) for share in value.values()),
            )
            for table, entries in self.tables.items()
            for name, value in entries.items()
            if isinstance(value, dict)
        }


def load_profile(path: Path = PROFILE_PATH) -> Profile:
    """Read and check a profile.

    Raises FluxlabError that names the file and the key: unknown or missing keys,
    shares that do not add to 1, numbers of the wrong type.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise _fault(path, "the file", f"cannot be read ({error})") from None
    lists = {"terms": Term, "project_types": ProjectType, "mime_types": MimeType}
    _check_keys(path, "", content, {*KEYS, *lists, "now", "start"})
    for key in ("now", "start"):
        if not isinstance(content[key], datetime) or content[key].tzinfo is None:
            raise _fault(path, key, "must be a date and time with an offset, such as …Z")
    for table, keys in KEYS.items():
        _check_table(path, table, content[table], keys.split())
    return Profile(
        path,
        content["now"],
        content["start"],
        {table: content[table] for table in KEYS},
        _entries(path, "terms", content["terms"], Term),
        _entries(path, "project_types", content["project_types"], ProjectType),
        _entries(path, "mime_types", content["mime_types"], MimeType),
    )


def _check_table(path: Path, table: str, entries: dict[str, Any], keys: list[str]) -> None:
    _check_keys(path, f"{table}.", entries, set(keys))
    for name, value in entries.items():
        key = f"{table}.{name}"
        if isinstance(value, dict):
            if not all(_is_number(share) and 0 <= share <= 1 for share in value.values()):
                raise _fault(path, key, "must hold shares between 0 and 1")
            if key not in _RATES and abs(sum(value.values()) - 1) > 1e-9:
                raise _fault(path, key, f"adds to {sum(value.values()):.6g} instead of 1")
        elif isinstance(value, list):
            kind = str if name == "nullable_booleans" else (int, float)
            if not all(isinstance(item, kind) for item in value):
                raise _fault(path, key, "holds an item of the wrong type")
        elif not _is_number(value) or value < 0:
            raise _fault(path, key, f"is {value!r}, not a number of at least 0")


def _entries(
    path: Path, name: str, entries: list[dict[str, Any]], kind: type[_Entry]
) -> tuple[_Entry, ...]:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    for place, entry in enumerate(entries, start=1):
        _check_keys(path, f"{name}[{place}].", entry, known - {"unit"}, {"unit"} & known)
    if name == "mime_types" and abs(sum(entry["share"] for entry in entries) - 1) > 1e-9:
        raise _fault(path, f"{name}.share", "does not add to 1")
    return tuple(kind(**entry) for entry in entries)


def _check_keys(
    path: Path,
    prefix: str,
    entries: Mapping[str, object],
    wanted: set[str],
    optional: set[str] | frozenset[str] = frozenset(),
) -> None:
    for key in sorted(set(entries) - wanted - optional):
        raise _fault(path, prefix + key, "is not a key that fluxlab knows")
    for key in sorted(wanted - set(entries)):
        raise _fault(path, prefix + key, "is missing")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fault(path: Path, key: str, what: str) -> FluxlabError:
    return FluxlabError(f"In {path.name}, {key} {what}.", f"Correct {path}.")
