"""`fluxlab cache` in a terminal, on replays that were made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from made_cache import count, replay
from rich.console import Console

from fluxlab.book.claims import read_claims
from fluxlab.cache_command import cache_text
from fluxlab.settings import ROOT


@pytest.fixture
def lab() -> Any:
    counts = {
        "sprint11": (
            count("user:email:{email}", 100, 31, stale=12, checked=27),
            count("org:{orgId}", 50, 45),
        ),
        "fluxlab": (
            count("user:email:{email}", 100, 20),
            count("org:{orgId}", 50, 48),
        ),
    }
    replays = {name: replay(name, *found) for name, found in counts.items()}  # type: ignore[arg-type]
    return SimpleNamespace(
        claims=read_claims(ROOT / "data" / "claims.toml"),
        cache=SimpleNamespace(replay=lambda layer, arrivals: replays[layer]),
    )


@pytest.mark.parametrize("width", [80, 120])
def test_every_key_stands_as_the_report_writes_it_with_both_caches(
    lab: Any, width: int
) -> None:
    console = Console(width=width, record=True, force_terminal=False)
    with console.capture() as capture:
        console.print(cache_text(lab))
    text = capture.get()
    assert max(len(line) for line in text.splitlines()) <= width
    if width < 100:
        return  # long keys are folded there
    email, organization = (line for line in text.splitlines() if "{" in line)
    # Sorted by reads; what the report says, its cache, ours, the band, reads, stale.
    assert email.split() == [
        *("user:email:{email}", "85%", "31%", "20%", "18%–22%", "100", "12/27", "0/20")
    ]
    assert organization.split() == [
        *("org:{orgId}", "90%", "96%", "94%–98%", "50", "0/45", "0/48")
    ]
