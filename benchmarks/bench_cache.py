"""Our cache against redis-py with orjson, cashews, aiocache and dogpile.cache.

    PYTHONPATH=tests python benchmarks/bench_cache.py [--quick] [--only abcde]
        [--peers DIRECTORY]

They are installed into a virtual environment that is thrown away after, and meet ours in
one run, on one Valkey server of the benchmark's own: (a) what a hit costs, (b) 500 misses
of one key at once, in one process and in four, (c) a server that hangs and one that is
killed, (d) a fill that an invalidation overtakes, (e) bytes. Prints a table for each, what
was asked of ours, and where a library is ahead. Exits with 1 where ours misses a target.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

from cache_servers import free_ports, valkey

ROOT = Path(__file__).resolve().parent.parent
#: redis-py and hiredis as in our lock, so that all stand on the same.
PEERS = (
    *("orjson==3.13.0", "cashews==7.6.0", "aiocache==0.12.3", "dogpile.cache==1.5.0"),
    *("redis==8.1.0", "hiredis==3.5.0"),
)


def install(directory: Path) -> Path:
    """Make a virtual environment with all of them and with what we need; its Python."""
    venv.create(directory, with_pip=True)
    python = directory / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", *PEERS]
    subprocess.run(command, check=True, capture_output=True)
    return python


def run_inside(python: Path, words: list[str]) -> int:
    """Run this file with that Python, our own packages behind those it has."""
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    found = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    Path(found, "fluxlab.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "benchmarks")))
    command = [str(python), __file__, *words]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, check=False
    ).returncode


def compare(only: str, *, is_quick: bool) -> int:
    """Run the parts and print them as they end; 1 where ours misses a target."""
    # They import the libraries, which only the environment made for them has.
    import cache_hits
    import cache_outage
    import cache_race
    import cache_stampede
    from cache_peers import Part, Place

    parts: list[Part] = []

    def show(part: Part) -> None:
        parts.append(part)
        print(f"{part}\n", flush=True)

    (port,) = free_ports(1)
    place = Place(port)
    with valkey(port, maxmemory="256mb") as server:
        if "a" in only:
            rounds, reads = (3, 1_000) if is_quick else (15, 2_000)
            show(asyncio.run(cache_hits.measure(place, rounds, reads)))
        if "b" in only:
            show(cache_stampede.measure(place, 1 if is_quick else 3))
        if "c" in only:
            fault_s = 1.5 if is_quick else 3.0
            show(cache_outage.measure(place, server, fault_s))
        if "d" in only:
            show(asyncio.run(cache_race.measure(place, 1 if is_quick else 4)))
    if "e" in only:
        show(cache_hits.sizes())
    missed = [one for part in parts for one in part.targets if not one.is_met]
    print("Every target is met." if not missed else f"{len(missed)} target(s) missed.")
    return 1 if missed else 0


def main() -> int:
    """Install the others, and run this file once more beside them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="about a minute and a half")
    parser.add_argument("--only", default="abcde", help="some of the parts")
    parser.add_argument("--peers", type=Path, help="an environment that has them already")
    chosen = parser.parse_args()
    if importlib.util.find_spec("cashews"):
        return compare(chosen.only, is_quick=chosen.quick)
    words = ["--only", chosen.only, *(["--quick"] if chosen.quick else [])]
    with tempfile.TemporaryDirectory() as directory:
        found = chosen.peers
        python = found / "bin" / "python" if found else install(Path(directory))
        return run_inside(python, words)


if __name__ == "__main__":
    sys.exit(main())
