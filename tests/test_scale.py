"""Other sizes of the data: built, measured into the lab's store, and gone again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from servers_scratch import scratch

from fluxlab import scale
from fluxlab.book import panels, sentences, tables
from fluxlab.dataset.load import build_template
from fluxlab.errors import FluxlabError
from fluxlab.lab import Lab, prepare
from fluxlab.measuring import measure_lab
from fluxlab.progress import Tick
from fluxlab.servers import postgres
from fluxlab.settings import Settings
from fluxlab.workload.budget import Budget
from fluxlab.workload.sample import Sample
from fluxlab.workload.scaling import Curve, Growth, Point, Scaling, show_rows
from fluxlab.workload.store import Store

BUDGET = Budget("test", seconds=0.0, first_ms=1.0, max_rounds=2, timeout_ms=2_000)
USERS = 32


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab of size tiny on a server of its own, beside which other sizes are built."""
    with scratch() as settings:
        server = postgres.start(settings)
        lab = Lab(settings, server, build_template(server, settings))
        for name in ("baseline", "sprint11"):
            prepare(lab, name)
        yield lab
        scale.erase_scaling(settings)


@pytest.fixture(autouse=True)
def _two_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "SCALE_USERS", (USERS, 100))


def fresh(lab: Lab) -> Lab:
    """The same lab without what it remembers."""
    return Lab(lab.settings, lab.server, lab.dataset)


def elsewhere(lab: Lab, name: str) -> Lab:
    """The same lab with a results store of its own."""
    settings = replace(lab.settings, results=lab.settings.home / f"{name}.sqlite")
    return Lab(settings, lab.server, lab.dataset)


def test_an_interrupted_size_goes_on_where_it_was_and_leaves_only_measurements(
    lab: Lab,
) -> None:
    lab = elsewhere(lab, "interrupted")
    own = scale.size_settings(lab.settings, USERS)
    phases: list[str] = []

    def interrupt(tick: Tick) -> None:
        if tick.phase.endswith("reads") and tick.done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scale.measure_scaling(lab, BUDGET, interrupt)

    assert postgres.find(own) is None
    assert own.home.is_dir()
    before = {name: keys(lab, name) for name in ("baseline", "sprint11")}
    assert [len(known) for known in before.values()] == [7, 7]

    scale.measure_scaling(lab, BUDGET, lambda tick: phases.append(tick.phase))

    assert f"{USERS} users: load" not in phases
    assert f"{USERS} users: reads" in phases
    assert postgres.find(own) is None
    assert not own.home.exists()
    for name, known in before.items():
        assert known < keys(lab, name)
        assert len(keys(lab, name)) == 24

    # And a third run finds nothing left to do.
    phases.clear()
    scale.measure_scaling(lab, BUDGET, lambda tick: phases.append(tick.phase))

    assert phases == []


def keys(lab: Lab, name: str) -> set[tuple[str, str]]:
    """What the lab's store knows of the other size."""
    own = scale.size_settings(lab.settings, USERS)
    store = Store(own.results_path)
    state = replace(lab.state(name), dataset=scale.fingerprint_of(own))
    known = store.known(state)
    store.close()
    return known


def test_the_lab_joins_its_own_size_with_the_others(lab: Lab) -> None:
    scale.measure_scaling(lab, BUDGET, lambda tick: None)
    others = fresh(lab).scaling
    assert (others.sizes, others.missing) == (((USERS, 12_180),), (100,))

    queries = frozenset(claim.query for claim in lab.claims.latency)
    measure_lab(lab, BUDGET, lambda tick: None, only=queries)
    found = fresh(lab).scaling

    assert found.missing == ()
    assert found.sizes == ((USERS, 12_180), (100, sum(lab.dataset.rows.values())))
    assert found.names == tuple(claim.name for claim in lab.claims.latency)
    assert all(len(found.of(name)) == 4 for name in found.names)
    # An address is unique, so an index served it before; a search had none.
    assert found.find("User by email").before.is_served
    assert not found.find("Message search").before.is_served


def test_a_size_is_measured_again_when_the_store_no_longer_knows_it(lab: Lab) -> None:
    scale.measure_scaling(lab, BUDGET, lambda tick: None)
    phases: list[str] = []

    scale.measure_scaling(
        elsewhere(lab, "empty"), BUDGET, lambda tick: phases.append(tick.phase)
    )

    assert f"{USERS} users: reads" in phases


def test_beside_a_server_of_somebody_else_nothing_is_built(lab: Lab) -> None:
    foreign = Lab(lab.settings, replace(lab.server, is_ours=False), lab.dataset)
    scale._mark_path(scale.size_settings(lab.settings, USERS)).unlink(missing_ok=True)
    phases: list[str] = []

    scale.measure_scaling(foreign, BUDGET, lambda tick: phases.append(tick.phase))

    assert phases == []


def test_a_store_that_knows_nothing_says_what_measures_it(lab: Lab) -> None:
    with pytest.raises(FluxlabError, match="`make run` measures it"):
        _ = elsewhere(lab, "nothing").scaling


def test_what_a_killed_run_left_is_erased(lab: Lab) -> None:
    own = scale.size_settings(lab.settings, USERS)
    postgres.start(own)

    assert scale.erase_scaling(lab.settings)
    assert postgres.find(own) is None
    assert not own.home.exists()
    assert not scale.erase_scaling(lab.settings)


def test_a_size_between_the_named_ones_is_a_number_of_users() -> None:
    between = scale.size_settings(Settings(home=scale.Path("/nowhere")), 316)

    assert (between.size, between.users) == ("316", 316)
    assert scale.size_settings(between, 1_000).size == "small"


def growth(name: str, *medians_ms: float, expected_ms: float = 20.0) -> Growth:
    points = tuple(
        Point(users, users * 380, Sample.of(*(median * near for near in (0.97, 1, 1.03))))
        for users, median in zip((100, 1_000, 10_000), medians_ms, strict=False)
    )
    return Growth(name, name, "typical", expected_ms, Curve(points), Curve(points))


SCALING = Scaling((growth("grows", 1.0, 10.0, 100.0), growth("stays", 1.0, 1.0, 1.0)))
ONE_SIZE = Scaling((growth("grows", 1.0), growth("stays", 1.0)), missing=(1_000, 10_000))


def test_the_finding_names_the_place_and_the_title_counts_the_rows() -> None:
    assert "1 of the report's 2 latencies" in sentences.scaling_title(SCALING)
    said = sentences.scaling(SCALING)

    assert f"grows, typical: {SCALING.of('grows')[0].crossing.sentence};" in said
    assert "760 k rows (" in said
    assert "BUDGET" not in said


def test_where_sizes_are_missing_the_finding_says_which_command_measures_them() -> None:
    said = sentences.scaling(ONE_SIZE)

    assert "`make run BUDGET=standard` measures 1,000 and 10,000 users as well." in said
    assert "grows, typical: unclear" in said
    assert list(tables.scaling(ONE_SIZE)["before is as reported"]) == ["unclear"] * 2
    assert panels.scaling(ONE_SIZE, "One size").layout.height > 0


def test_the_table_has_a_column_for_every_size() -> None:
    table = tables.scaling(SCALING)

    assert list(table.columns)[1:5] == ["report", "38 k rows", "380 k rows", "3.8 M rows"]
    assert table.loc["grows", "380 k rows"] == "10 ms → 10 ms"


def test_the_chart_marks_the_crossing_and_a_cut_off() -> None:
    cut = Curve((*SCALING.of("grows")[0].before.points[:2], cut_off_point()))
    first = replace(SCALING.of("grows")[0], before=cut)
    figure = panels.scaling(Scaling((first, SCALING.growths[1])), "Two rows")

    named = {trace.name: trace for trace in figure.data}
    (crossing,) = [t for t in figure.data if t.name == "before is as reported"]
    before = next(trace for trace in figure.data if trace.name == "before, typical")
    assert before.marker.symbol == ("circle-open", "circle-open", "triangle-up-open")
    assert math.isclose(crossing.x[0], first.crossing.rows)
    assert "after, typical" in named
    assert {"report: 20 ms"} <= {note.text for note in figure.layout.annotations}


def cut_off_point() -> Point:
    return Point(10_000, 3_800_000, Sample.cut_off(10_000.0))


@pytest.mark.parametrize(
    ("rows", "text"), [(12_180, "12 k"), (999_600, "1 M"), (38_000_000, "38 M")]
)
def test_rows_are_written_with_two_digits(rows: int, text: str) -> None:
    assert show_rows(rows) == text
