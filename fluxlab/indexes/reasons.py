"""The reasons of Decisions, a sentence or two each."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from fluxlab.indexes.amounts import show_ms

if TYPE_CHECKING:
    from fluxlab.indexes.decisions import Case, Thresholds

PILLAR = "It keeps rows unique, whatever it does for reads."
NOT_MEASURED = "Nothing was measured of it."


def worth(case: Case, costs_ms: float, limits: Thresholds) -> str:
    """Say what an index is kept for."""
    lost = case.missed.sure
    least = max(limits.least_saved_ms, limits.least_return * costs_ms)
    saves = f"It saves {show_ms(lost.saved_ms)} in 1,000 requests"
    if costs_ms:
        saves += f", and costs writes {show_ms(costs_ms)}"
    wait = f"one statement waits {show_ms(lost.waits_ms)} longer without it"
    if lost.saved_ms < least:
        text = f"{wait[0].upper()}{wait[1:]}."
    elif lost.waits_ms >= limits.least_wait_ms:
        text = f"{saves}; {wait}."
    else:
        text = f"{saves}."
    if case.has_come_back:
        text += " It is missed once all that nobody misses one by one are gone."
    return f"{text}{_slows(case)}"


def unclear(case: Case, limits: Thresholds) -> str:
    """Say what an index could be good for."""
    could = case.missed.most
    if could.saved_ms >= limits.least_saved_ms:
        return (
            f"It could save up to {show_ms(could.saved_ms)} in 1,000 requests; the clock "
            "is not sure yet."
        )
    return (
        f"One statement could wait up to {show_ms(could.waits_ms)} longer without it; the "
        "clock is not sure yet."
    )


def served(case: Case) -> str:
    """Say which indexes serve instead of one."""
    verb = "serves" if len(case.stand_ins) == 1 else "serve"
    saved = case.missed.sure.saved_ms
    text = f"{_listed(case.stand_ins)} {verb} what it was used for"
    if saved > 0:
        return f"{text}, {show_ms(saved)} in 1,000 requests slower."
    if saved < 0:
        return f"{text}, {show_ms(-saved)} in 1,000 requests faster."
    return f"{text}."


def needless(case: Case, costs_ms: float, limits: Thresholds) -> str:
    """Say why nobody needs an index."""
    assert case.without is not None
    saved = case.missed.sure.saved_ms
    if not case.without.effects:
        return "No plan changes when it is taken away."
    if saved < 0:
        return f"Reads are {show_ms(-saved)} in 1,000 requests faster without it."
    if saved == 0:
        return "Plans change when it is taken away, and nothing gets slower for sure."
    paid = limits.least_return * costs_ms
    least = (
        f"the {show_ms(limits.least_saved_ms)} asked for"
        if limits.least_saved_ms >= paid
        else f"the {show_ms(paid)} that it would have to for its writes"
    )
    return f"It saves {show_ms(saved)} in 1,000 requests, less than {least}.{_slows(case)}"


def _slows(case: Case) -> str:
    hurt = case.without.hurt if case.without else ()
    if not hurt:
        return ""
    return f" It slows {len(hurt)} {'query' if len(hurt) == 1 else 'queries'} down."


def held(partners: Collection[str]) -> str:
    """Say why an index stays that nobody misses: who stands in for it would go as well."""
    return (
        f"Nobody would miss it alone; but {_listed(partners)} would go too, and without "
        "both nothing was measured."
    )


def _listed(names: Collection[str], most: int = 2) -> str:
    shown = [*names][:most]
    more = len(names) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(shown)
