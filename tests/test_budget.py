"""How a first look is shared out."""

from __future__ import annotations

import pytest

from fluxlab.workload.budget import (
    BLOCK_MS,
    BUDGETS,
    block_cost_ms,
    budget_of,
    executions_of,
)


@pytest.mark.parametrize("likely_ms", [0.001, 0.02, 0.3, 1.0, 2.4, 4.9, 5.1, 80.0, 9_000.0])
def test_a_block_lasts_five_milliseconds_or_is_one_execution(likely_ms: float) -> None:
    executions = executions_of(likely_ms)

    assert executions == 1 or executions >= 3
    # Faster than ten microseconds is faster than a round trip can be.
    assert executions * max(likely_ms, 0.01) >= BLOCK_MS


def test_a_long_execution_warms_itself_and_a_short_one_is_preceded_by_another() -> None:
    assert block_cost_ms(500.0) == 500.0
    assert block_cost_ms(50.0) == 100.0
    assert block_cost_ms(1.0) == 6.0


def test_little_time_goes_to_what_the_plans_have_settled() -> None:
    quick, standard = BUDGETS["quick"], BUDGETS["standard"]

    assert quick.first_rounds(10.0) == quick.looked_rounds
    assert quick.first_rounds(10.0, is_settled=True) == 2
    assert standard.first_rounds(10.0, is_settled=True) == standard.looked_rounds


def test_a_long_statement_is_taken_once_unless_a_claim_rests_on_it() -> None:
    quick = BUDGETS["quick"]

    assert quick.first_rounds(6_000.0) == 1
    assert quick.first_rounds(6_000.0, is_claimed=True) == 3
    assert quick.first_rounds(900.0) == 3


def test_budgets_grow_and_tiny_data_needs_less() -> None:
    seconds = [BUDGETS[name].seconds for name in ("quick", "standard", "thorough")]

    assert seconds == sorted(set(seconds))
    assert budget_of("quick", "tiny").seconds < budget_of("quick", "small").seconds
    assert budget_of("quick", "tiny").timeout_ms < BUDGETS["quick"].timeout_ms
