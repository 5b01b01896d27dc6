"""Help for the tests of the servers: homes of their own, and processes that use them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fluxlab.servers import postgres, redis
from fluxlab.settings import Settings

STARTS = """
import sys, time
from pathlib import Path
from fluxlab.servers import {module}
from fluxlab.settings import Settings
server = {module}.start(Settings(home=Path(sys.argv[1]), is_durable=False))
print(server.pid, server.message, flush=True)
{then}
"""


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Settings]:
    """Settings with a new home, whose servers and data are gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="flux-", dir=parent))
    home.chmod(0o755)  # the server's account must be able to enter when root runs this
    settings = Settings(home=home, size="tiny", is_durable=False)
    try:
        yield settings
    finally:
        postgres.erase(settings)
        redis.erase(settings)
        shutil.rmtree(home)


def client(
    settings: Settings, module: str = "postgres", then: str = ""
) -> subprocess.Popen[str]:
    """Start another process, in a session of its own, that starts the server."""
    return subprocess.Popen(
        [sys.executable, "-c", STARTS.format(module=module, then=then), str(settings.home)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def account_of(path: Path) -> dict[str, int]:
    """Keywords for subprocess to run as the owner of `path`, if root may choose."""
    return {} if os.geteuid() else {"user": path.stat().st_uid, "group": path.stat().st_gid}
