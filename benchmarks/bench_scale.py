"""Ten statements with and without the indexes that serve them, at four sizes of data.

Writes what chapter 09 reads. Each size gets a server of its own, which is erased; a size
that is measured already is kept, so a killed run goes on. The machine should be quiet.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from fluxlab.errors import FluxlabError
from fluxlab.index_scale import (
    REFERENCE,
    REFERENCE_BUDGET,
    REFERENCE_USERS,
    measure_reference,
)
from fluxlab.settings import read_settings
from fluxlab.terminal import Reporter
from fluxlab.workload.sample import show_ms
from fluxlab.workload.served import write_scale


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--users", type=int, nargs="+", default=REFERENCE_USERS, help="the sizes"
    )
    parser.add_argument("--again", action="store_true", help="measure every size anew")
    parser.add_argument("--out", type=Path, help=f"where to write ({REFERENCE})")
    options = parser.parse_args()
    settings = read_settings()
    if options.again:
        shutil.rmtree(settings.home / "bench-scale", ignore_errors=True)
    start = time.perf_counter()
    with Reporter() as report:
        found = measure_reference(settings, tuple(options.users), REFERENCE_BUDGET, report)
    path = options.out or settings.root / REFERENCE
    write_scale(found, path)
    for one in found.served:
        ratios = ", ".join(
            f"{at.rows:,}: {at.speedup.ratio:.1f}x {at.outcome} "
            f"({show_ms(at.sides['without'].median_ms)}, {len(at.hidden)} hidden)"
            for at in one.points
        )
        print(f"{one.query}, {one.of_class}: {ratios}")
    print(f"{path}, {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FluxlabError as error:
        sys.exit(str(error))
