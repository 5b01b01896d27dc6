"""Files with their revision chains, and with whom they are shared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fluxlab.dataset.arrow import pa
from fluxlab.dataset.cells import Cells, Columns, TableSource, document
from fluxlab.dataset.columns import (
    DAY,
    bigints,
    either,
    integers,
    join,
    only,
    take,
    text_of,
    timestamps,
)
from fluxlab.dataset.projects import PLANNING
from fluxlab.dataset.spread import apportion, slots_of, tail_weights
from fluxlab.dataset.streams import I64, row_range
from fluxlab.dataset.words import FILE_SUBJECTS
from fluxlab.dataset.work import Work


@dataclass(frozen=True, slots=True)
class FileRows:
    """Every file in time order; `parent` is a row or -1, `original` names the family."""

    original: I64
    version: I64
    parent: I64
    is_latest: I64
    project: I64
    organization: I64
    created: I64
    changed: I64


class Files:
    """Parents and times of files and permissions."""

    def __init__(self, work: Work) -> None:
        self.work, self.people, self.context = work, work.people, work.context
        self.cells: Cells = self.context.cells("files")

    @cached_property
    def rows(self) -> FileRows:
        """The whole table, without its texts."""
        family, number, is_star = self._families()
        count = int(family.max()) + 1
        project = self._projects(count)
        organization = self._organizations(project)
        created = self._times(family, number, project, organization)
        order = np.argsort(created, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = row_range(0, len(order))
        # A chain's revision follows the one before it, a star's always the original.
        before = row_range(0, len(family)) - np.where(is_star[family], number, 1)
        parent = np.where(number > 0, place[before], -1)
        size = np.bincount(family)[family]
        last = number == size - 1
        latest = np.where(is_star[family], (number > 0) | (size == 1), last)
        following = np.where(last, row_range(0, len(family)), row_range(1, len(family) + 1))
        version = np.where(is_star[family] & (number > 0), 2, number + 1)
        columns = (family, version, parent, latest, project[family], organization[family])
        changed = np.where(latest, created, created[np.minimum(following, len(family) - 1)])
        return FileRows(*(c[order].astype(np.int64) for c in (*columns, created, changed)))

    def _families(self) -> tuple[I64, I64, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Family and number of every file before sorting, and which families are stars."""
        cells, total = self.cells, self.context.count("files")
        originals = round(total * (1 - cells.share("revisions")))
        stars = round(originals * cells.share("star_originals"))
        star_rows = round(stars * cells.share("star_revisions_mean"))
        chain_rows = total - originals - star_rows
        chains = max(1, round(chain_rows / cells.share("chain_revisions_mean")))
        longest = min(int(cells.share("chain_max")) - 1, chain_rows)
        chains = min(chains, chain_rows - longest + 1)
        # Geometric lengths from evenly spread quantiles, the longest chain set by hand.
        quantile = (row_range(0, chains - 1) + 0.5) / max(1, chains - 1)
        weights = 1.0 + np.floor(-np.log2(quantile) * 1.6)
        rest = chain_rows - longest - (chains - 1)
        lengths = 1 + apportion(rest, np.maximum(weights - 1.0, 1e-6), longest - 1)
        sizes = np.ones(originals, np.int64)
        sizes[0] += longest
        sizes[1:chains] += lengths
        sizes[chains : chains + stars] += apportion(star_rows, np.ones(stars))
        is_star = np.zeros(originals, np.bool_)
        is_star[chains : chains + stars] = True
        shuffled = np.argsort(
            cells.stream("family").bits(row_range(0, originals)), kind="stable"
        )
        family, number = slots_of(sizes[shuffled])
        return family, number, is_star[shuffled]

    def _projects(self, count: int) -> I64:
        cells, work = self.cells, self.work
        ranks = np.argsort(np.argsort(cells.stream("rank").bits(work.rows), kind="stable"))
        weights = tail_weights(ranks, cells.share("exponent"))
        weights = weights * np.where(work.status == PLANNING, 0.2, 1.0)
        without = round(count * cells.share("project_id_null"))
        project, _ = slots_of(apportion(count - without, weights))
        project = np.concatenate([project, np.full(without, -1, np.int64)])
        shuffled = np.argsort(
            cells.stream("project_id").bits(row_range(0, count)), kind="stable"
        )
        return project[shuffled]

    def _organizations(self, project: I64) -> I64:
        """That of the project; of the others the home of a random member."""
        starts = self.people.members_of_organization.starts
        members = self.cells.stream("organization_id").below(
            row_range(0, len(project)), int(starts[-1])
        )
        random = np.searchsorted(starts, members, side="right") - 1
        return np.where(project >= 0, self.work.organization[project], random)

    def _times(self, family: I64, number: I64, project: I64, organization: I64) -> I64:
        """Originals while the project runs, revisions one after the other behind them."""
        stream, now = self.cells.stream("created_at"), self.context.time.now
        families = row_range(0, len(project))
        created = self.people.organization_created[organization]
        first = np.where(project >= 0, self.work.created[project], created)
        last = np.where(project >= 0, self.work.end[project], now)
        uniform = stream.uniform(families)
        original = self.context.time.between(first, np.maximum(last, first), uniform)
        sizes = np.bincount(family)
        window = np.minimum(sizes * 6 * DAY, now - original)
        place = number + 0.9 * stream.uniform(row_range(0, len(family)) + len(families))
        step = window[family] * place / sizes[family]
        return np.where(
            number == 0, original[family], original[family] + step.astype(np.int64)
        )

    def columns(self, rows: I64) -> Columns:
        """The cells of files; what a family shares is drawn by its number."""
        cells, table = self.cells, self.rows
        family, project = table.original[rows], table.project[rows]
        kinds = self.context.profile.mime_types
        limits = np.cumsum([kind.share for kind in kinds])[:-1]
        code = np.searchsorted(
            limits, cells.stream("mime_type").uniform(family), side="right"
        )
        medium = np.array([kind.kind for kind in kinds])[code]
        size = np.array([kind.median_kb * 1024.0 for kind in kinds])[code]
        size *= cells.stream("file_size").lognormal(rows, 1.0, cells.share("size_sigma"))
        size = np.minimum(size, cells.share("size_max_mb") * 1024 * 1024)
        subject = take(
            FILE_SUBJECTS, cells.stream("name").below(family, len(FILE_SUBJECTS))
        )
        subject = cells.with_terms("name", rows, subject)
        version = table.version[rows]
        extension = take([kind.extension for kind in kinds], code)
        number = text_of(family + 1)
        plain = join(subject, "-", number)
        name = join(
            plain, either(version > 1, join("-v", text_of(version)), ""), ".", extension
        )
        path = join("uploads/", text_of(rows + 1), "/", name)
        picture, film = medium == "image", medium == "video"
        wide = (cells.stream("width").below(family, 24) + 6) * 160
        length = 15 + cells.stream("duration").exponential(rows, 120.0)
        updated = np.maximum(table.changed[rows], table.created[rows])
        return {
            "id": cells.ids(rows),
            "name": name,
            "original_name": join(plain, ".", extension),
            "description": only(
                cells.true("description", rows), cells.sentence("description", rows, 8)
            ),
            "file_path": path,
            "file_url": join("https://files.example.com/", path),
            "thumbnail_url": only(
                picture | film, join("https://files.example.com/", path, ".thumb.webp")
            ),
            "mime_type": take([kind.name for kind in kinds], code),
            "file_size": bigints(np.maximum(size, 200.0).astype(np.int64)),
            "width": integers(wide, picture | film),
            "height": integers(wide * 9 // 16, picture | film),
            "duration": integers(length.astype(np.int64), film | (medium == "audio")),
            "pages": integers(
                1 + cells.stream("pages").below(family, 30), medium == "document"
            ),
            "category": take(
                cells.choice("category").values,
                cells.choice("category").codes(cells.stream("category").uniform(family)),
            ),
            "status": cells.chosen("status", rows),
            "version": integers(version),
            "is_latest": pa.array(table.is_latest[rows].astype(bool)),
            "parent_file_id": cells.id_of(table.parent[rows], table.parent[rows] >= 0),
            "project_id": self.work.projects.id_of(project, project >= 0),
            "organization_id": self.people.organizations.id_of(table.organization[rows]),
            "uploaded_by": self.people.users.id_of(self.uploader(rows)),
            "metadata": document(
                {"source": take(['"web"', '"desktop"', '"mobile"'], family % 3)}
            ),
            "created_at": timestamps(table.created[rows]),
            "updated_at": timestamps(updated),
        }

    def uploader(self, rows: I64) -> I64:
        """A member of the project, or of the organization, who had an account by then."""
        table, family = self.rows, self.rows.original[rows]
        project, organization = table.project[rows], table.organization[rows]
        uniform = self.cells.stream("uploaded_by").uniform(family) ** 1.5
        user = self.people.members_of_organization.pick(organization, uniform)
        member = self.work.members.pick(np.maximum(project, 0), uniform)
        user = np.where(project >= 0, member, user)
        early = self.people.user_created[user] > table.created[rows]
        return np.where(early, self.people.organization_creator[organization], user)

    # permissions ---------------------------------------------------------
    @cached_property
    def _permissions(self) -> tuple[I64, I64, I64, I64]:
        """File, user or -1, team or -1, and time of every permission, in time order."""
        cells, people, table = (
            self.context.cells("file_permissions"),
            self.people,
            self.rows,
        )
        rows = row_range(0, self.context.count("file_permissions"))
        to_team = cells.true("to_team", rows)
        has_team = people.teams_of_organization.sizes[table.organization] > 0
        shareable = np.flatnonzero(has_team)
        uniform = cells.stream("file_id").uniform(rows)
        file = np.floor(uniform * len(table.created)).astype(np.int64)
        file[to_team] = shareable[
            np.floor(uniform[to_team] * len(shareable)).astype(np.int64)
        ]
        organization = table.organization[file]
        pick = cells.stream("target").uniform(rows)
        user = people.members_of_organization.pick(organization, pick)
        team = np.full(len(rows), -1, np.int64)
        team[to_team] = people.teams_of_organization.pick(
            organization[to_team], pick[to_team]
        )
        since = np.maximum(table.created[file], people.user_created[user])
        since = np.where(to_team, np.maximum(since, people.team_created[team]), since)
        wait = cells.stream("granted_at").exponential(rows, 2.0) * DAY
        granted = np.minimum(since + wait.astype(np.int64), self.context.time.now)
        order = np.argsort(granted, kind="stable")
        user = np.where(to_team, -1, user)
        return file[order], user[order], team[order], granted[order]

    def permission_columns(self, rows: I64) -> Columns:
        """The cells of file_permissions: exactly one of user and team."""
        cells = self.context.cells("file_permissions")
        file, user, team, granted = (column[rows] for column in self._permissions)
        return {
            "id": cells.ids(rows),
            "file_id": self.cells.id_of(file),
            "user_id": self.people.users.id_of(user, user >= 0),
            "team_id": self.people.teams.id_of(team, team >= 0),
            "permission_type": cells.chosen("permission_type", rows),
            "granted_by": self.people.users.id_of(self.uploader(file)),
            "granted_at": timestamps(granted),
        }

    def sources(self) -> tuple[TableSource, ...]:
        """The two tables of files."""
        return (
            TableSource("files", self.context.count("files"), self.columns),
            TableSource(
                "file_permissions",
                self.context.count("file_permissions"),
                self.permission_columns,
            ),
        )
