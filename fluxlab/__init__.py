"""fluxlab: a workbook in which every index has to earn its place, by measurement.

`fluxlab.plans` reads and judges plans without a server; `open` is the way to the lab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fluxlab.errors import FluxlabError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from fluxlab.lab import Lab
    from fluxlab.settings import Settings

__all__ = ["FluxlabError", "__version__", "load_ipython_extension", "open"]
__version__ = "0.1.0"

# What is imported inside of functions pulls in pandas, Arrow and the drivers, which a
# `fluxlab --help` or a test of one value has no use for.


def open(settings: Settings | None = None) -> Lab:
    """Return the Lab; starts the servers and makes data and states where they are missing.

    The settings are those of the environment unless they are given. Quick when
    `make run` went before; at size small about a minute when it did not. Raises
    FluxlabError where no server can be started.

    >>> import fluxlab
    >>> lab = fluxlab.open(settings)  # of size tiny
    >>> lab.explain("user_by_email").indexes
    ('idx_users_email',)
    """
    from fluxlab.lab import open_lab

    return open_lab(settings)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Do what `%load_ext fluxlab` asks for: register the magics, and the HTML of values.

    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> shell = InteractiveShell.instance()
    >>> load_ipython_extension(shell)
    >>> "explain" in shell.magics_manager.magics["cell"]
    True
    >>> InteractiveShell.clear_instance()
    """
    from fluxlab.magic import load_ipython_extension as register

    register(shell)
