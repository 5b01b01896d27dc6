"""Take turns: two Calls in blocks, A B B A, without a Bench around them."""

from __future__ import annotations

from fluxlab.workload.budget import BLOCK_MS, executions_of
from fluxlab.workload.clock import Call
from fluxlab.workload.sample import Sample


def in_blocks(
    calls: tuple[Call, Call], rounds: int, executions: int | None = None
) -> tuple[Sample, Sample]:
    """Take rounds of blocks, A B B A, each after one execution that is discarded.

    Without a number of executions a block lasts about 5 ms on the faster side.
    """
    likely_ms = min(call.time_ms() for call in calls for _ in range(3))
    count = executions or executions_of(min(likely_ms, BLOCK_MS))
    samples = [Sample(()), Sample(())]
    for number in range(rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            calls[side].time_ms()
            samples[side] = samples[side].joined([calls[side].block(count)])
    return samples[0], samples[1]
