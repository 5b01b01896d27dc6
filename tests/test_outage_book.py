"""Chapter 12 with made-up results: its words, charts and exercises, and their bad days."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fluxlab.book import (
    detail_words,
    house_rules,
    outage_charts,
    outage_exercises,
    outage_words,
)
from fluxlab.book.pages import chapters
from fluxlab.caching.experiments.found import (
    Absent,
    Counted,
    Crash,
    Details,
    Experiments,
    Fault,
    Forgotten,
    Outage,
    Outages,
    PatternCost,
    Race,
    Scenario,
    SizeCost,
    Slice,
    StaleReads,
    Stampede,
    Stampedes,
    Together,
    Trip,
)
from fluxlab.caching.results import LayerName
from fluxlab.settings import ROOT

SCENARIOS: tuple[Scenario, ...] = ("nobody between", "a reader between")
FAULTS: tuple[Fault, ...] = ("killed", "stopped", "absent at start")
PAIR: tuple[LayerName, ...] = ("sprint11", "fluxlab")


def outage(layer: LayerName, fault: Fault) -> Outage:
    is_slow = (layer, fault) == ("sprint11", "stopped")
    is_lost = layer == "sprint11" and not is_slow
    return Outage(
        layer=layer,
        fault=fault,
        begins_s=1.0,
        ends_s=4.0,
        rate_per_s=100,
        load_p50_ms=5.0,
        requests=500,
        errors=0,
        unfinished=0,
        hits_before=1.0,
        hits_during=0.0,
        hits_after=0.0 if is_lost else 0.9,
        p50_ms=1500.0 if is_slow else 6.0,
        p99_ms=2950.0 if is_slow else 8.0,
        max_ms=3000.0 if is_slow else 58.0,
        added_p50_ms=1.0,
        added_max_ms=3000.0 if is_slow else 51.0,
        back_s=None if is_lost else 0.4,
        gave_up_s=2.77 if is_lost else None,
        health_during="unhealthy" if is_lost else "degraded",
        health_after="unhealthy" if is_lost else "healthy",
        slices=(
            Slice(0.0, 10, 5, 0, 0, 1.0, 2.0, 3.0),
            Slice(0.1, 0, 0, 0, 0, 0.0, 0.0, 0.0),
            Slice(0.6, 10, 10, 0, 0, 1.0, 2.0, 3.0),
        ),
    )


def herd(layer: LayerName, readers: int, processes: int) -> Stampede:
    loads = (readers, readers) if layer == "sprint11" else (1, 1)
    return Stampede(layer, "missing", readers, processes, loads, 20.0, 30.0, 40.0, 0, 0)


def forgotten(layer: LayerName, key: str, *, depends: bool, survives: bool) -> Forgotten:
    return Forgotten(layer, "invalidate.user", key, depends, survives)


@pytest.fixture
def found() -> Experiments:
    """A day on which everything went as it usually does."""
    return Experiments(
        server="embedded 9.1.2",
        scale=1.0,
        took_s=33.0,
        stale=StaleReads(
            load_s=0.06,
            ttl_s=0.5,
            crash_ttl_s=1.5,
            barrier_s=0.8,
            database="PostgreSQL",
            races=tuple(
                Race(layer, scenario, offset, 4, stale, 0.53 if stale else 0.0)
                for layer in PAIR
                for scenario in SCENARIOS
                for offset in (0.5, 1.1)
                for stale in (
                    4 * (layer == "sprint11" and scenario == SCENARIOS[0] and offset < 1),
                )
            ),
            together=(
                Together("sprint11", 8, 2, 1.0, 100, 80, 0, 20, 0, 20, 30, 5, 0.046),
                Together("fluxlab", 8, 2, 1.0, 100, 80, 10, 10, 0, 20, 0, 0, 0.0),
            ),
            crashes=(
                Crash("sprint11", "forget after commit", 5, 400, 300, 5, 1.4, 1.5),
                Crash("fluxlab", "forget after commit", 5, 400, 300, 5, 1.4, 1.5),
                Crash("fluxlab", "writing barrier", 5, 400, 0, 0, 0.0, 0.82),
            ),
        ),
        stampedes=Stampedes(
            20.0,
            10,
            tuple(
                herd(one, many, of) for one in PAIR for many in (1, 500) for of in (1, 4)
            ),
        ),
        outages=Outages(0.1, tuple(outage(one, fault) for one in PAIR for fault in FAULTS)),
        details=Details(
            trips=(
                Trip("sprint11", "numeric", "Decimal('1.50')", True, "1.5", "float", False),
                Trip("fluxlab", "numeric", "Decimal('1.50')", True, "…", "Decimal", True),
                Trip("sprint11", "range", "[1,5)", True, "'[1,5)'", "str", False),
                Trip("fluxlab", "range", "[1,5)", False, "", "", False),
                Trip("sprint11", "text", "'a'", True, "'a'", "str", True),
                Trip("fluxlab", "text", "'a'", True, "'a'", "str", True),
            ),
            absent=(Absent("sprint11", "missing row", 2, 1, ("None", "'undefined'")),),
            forgotten=(
                forgotten("sprint11", "user:email:{email}", depends=True, survives=True),
                forgotten("sprint11", "user:123", depends=False, survives=False),
                forgotten("fluxlab", "user:email:{email}", depends=True, survives=False),
                forgotten("fluxlab", "user:123", depends=False, survives=True),
            ),
            email_is_stale={"sprint11": True, "fluxlab": False},
            patterns=(
                PatternCost(1_000, 0.1, 0.1, 0.2, 0.1, 0.1),
                PatternCost(100_000, 2.0, 0.1, 9.0, 2.5, 0.2),
            ),
            sizes=(
                SizeCost("sprint11", 2_000_000, True, 4.0, 2.0),
                SizeCost("fluxlab", 2_000_000, False, 0.0, 0.0),
            ),
            counted=(Counted("0", 10, 0, 9),),
            endless_keys=500,
            endless_turns=50,
            zero_ttl_is_swallowed=True,
        ),
    )


def test_titles_say_what_was_found(found: Experiments) -> None:
    assert outage_words.races_title(found.stale) == (
        "A write during the load leaves the report's cache stale in 4 of 4 races; ours in "
        "none of 16, whenever the write comes"
    )
    assert outage_words.stampede_title(found.stampedes) == (
        "500 readers of one missing key load it up to 500 times with the report's cache, "
        "and 1 time with ours"
    )
    assert outage_words.outage_title(found.outages) == (
        "With a server that hangs, a request waits up to 3.0 s with the report's cache and "
        "58 ms with ours"
    )
    assert outage_words.back_title(found.outages) == (
        "After 2 of 3 outages the report's cache never answers again; ours does after "
        "400 ms at most"
    )
    assert "20 times as long" in detail_words.patterns_title(found.details)


def test_sentences_carry_the_numbers_of_the_experiments(found: Experiments) -> None:
    assert "took 33 s" in outage_words.setting(found)
    assert "The report's cache: 30 of 100 reads were stale" in outage_words.crowd(
        found.stale.together
    )
    crashes = outage_words.crashes(found.stale)
    assert "5 of 5 keys stale for up to 1.4 s" in crashes
    assert "leaves none of 5 stale" in crashes
    assert "820 ms after the commit" in crashes
    assert "none of 1,500 (ours)" in outage_words.leaks(found.outages)
    assert "2.8 s (killed)" in outage_words.giving_up(found.outages)
    assert "gives back 2 of 3 kinds" in detail_words.types(found.details)
    assert "after 50 turns over 500 keys" in detail_words.silent(found.details)
    assert detail_words.collisions(found.details).startswith("1 of 1 helpers")


def test_a_bad_day_is_said_as_plainly(found: Experiments) -> None:
    broken = tuple(replace(one, stale=1, longest_s=0.2) for one in found.stale.races)
    assert "ours in 4 of 16" in outage_words.races_title(replace(found.stale, races=broken))
    crashed = tuple(replace(one, stale=9) for one in found.stale.crashes)
    said = outage_words.crashes(replace(found.stale, crashes=crashed))
    assert said.endswith("No way left nothing stale.")
    slow = replace(
        found.stampedes,
        found=tuple(
            replace(one, loads=(1, 100), bypassed=100)
            if (one.layer, one.readers, one.processes) == ("fluxlab", 500, 4)
            else one
            for one in found.stampedes.found
        ),
    )
    assert "100 times with ours" in outage_words.stampede_title(slow)
    assert "100 were sent past a cache" in outage_words.stampede(slow)
    lost = replace(
        found.outages,
        found=tuple(replace(one, back_s=None, errors=3) for one in found.outages.found),
    )
    assert outage_words.back_title(lost).endswith("ours neither after 3")
    assert "9 of 1,500 (ours)" in outage_words.leaks(lost)
    assert "as far as errors go" not in outage_words.leaks(lost)
    calm = replace(
        found.outages,
        found=tuple(replace(one, gave_up_s=None) for one in found.outages.found),
    )
    assert "gave up in none" in outage_words.giving_up(calm)
    ended = replace(found.details, endless_turns=0, zero_ttl_is_swallowed=False)
    said = detail_words.silent(replace(ended, email_is_stale={"sprint11": False}))
    assert said == (
        "Its list of all keys ended. A lifetime of 0 is stored. After a change of address "
        "the old one finds nothing."
    )


def test_tables_name_both_caches_and_hide_nothing(found: Experiments) -> None:
    assert len(outage_words.races(found.stale)) == 4
    assert list(outage_words.one_race(found.stale).index) == ["the report's cache", "ours"]
    assert list(outage_words.crowd_table(found.stale.together)["stale reads"]) == [
        "30",
        "0",
    ]
    assert len(outage_words.crashes_table(found.stale)) == 3
    assert len(outage_words.stampedes(found.stampedes)) == 8
    table = outage_words.outages(found.outages)
    assert list(table["back after"]) == [
        "never",
        "400 ms",
        "400 ms",
        "400 ms",
        "never",
        "400 ms",
    ]
    assert list(detail_words.types_table(found.details).index) == ["numeric", "range"]
    kept = detail_words.forgotten(found.details.forgotten)
    assert list(kept["the report's leaves stale"]) == ["user:email:{email}"]
    assert list(kept["ours leaves"]) == ["none"]
    assert list(kept["the report's forgets besides"]) == ["user:123"]
    assert list(detail_words.sizes(found.details)["ours, set / get"]) == ["refused"]
    assert len(detail_words.absent(found.details.absent)) == 1
    assert len(detail_words.counted(found.details)) == 1
    assert len(detail_words.patterns(found.details)) == 2


def test_every_chart_draws_both_caches_and_has_a_height(found: Experiments) -> None:
    drawn = (
        outage_charts.races(found.stale, "title"),
        outage_charts.stampedes(found.stampedes, "title"),
        outage_charts.latencies(found.outages, "title"),
        outage_charts.hits(found.outages, "title"),
    )
    for figure in (*drawn, outage_charts.patterns(found.details, "title")):
        assert figure.layout.height >= 400
        assert figure.layout.title.text == "title"
    for figure in drawn:
        names = {trace.name.partition(",")[0] for trace in figure.data}
        assert names == {"the report's cache", "ours"}
    for figure in drawn[2:]:
        shades = [shape for shape in figure.layout.shapes if shape.type == "rect"]
        assert [(shape.x0, shape.x1) for shape in shades] == [(1.0, 4.0)] * 3
    # A slice without requests is no point at zero, which a log scale has not.
    assert all(0 not in trace.y for trace in drawn[2].data)


def test_exercises_know_the_right_answer_and_why_others_are_wrong(
    found: Experiments,
) -> None:
    wrong = outage_exercises.stale_for()
    assert wrong.check(300).is_right
    assert "deleted nothing" in wrong.check(0).text
    locks = outage_exercises.loads_of_processes(found.stampedes)
    assert locks.check(4).is_right
    assert "it was 1, 1" in locks.check(4).text
    assert "lease" in locks.check(1).text
    worst = outage_exercises.worst_fault(found.outages)
    assert worst.check("stopped").is_right
    assert "58 ms" in worst.check("killed").text
    assert not worst.check("burnt").is_right
    dies = outage_exercises.which_way(found.stale)
    assert dies.check("writing barrier").is_right
    assert "5 of 5 keys stale" in dies.check("forget after commit").text
    assert "stores it" in dies.check("invalidate before commit").text


def test_the_chapter_keeps_the_house_rules() -> None:
    (chapter,) = [one for one in chapters(ROOT) if one.name.startswith("12_")]
    assert house_rules.broken_rules(chapter) == ()
