"""fluxlab: a workbook in which every index has to earn its place, by measurement."""

from fluxlab.errors import FluxlabError

__all__ = ["FluxlabError", "__version__", "load_ipython_extension", "open"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Imported when first asked for: the lab pulls in pandas, Arrow and the drivers,
    # which a `fluxlab --help` or a test of one value has no use for.
    if name == "open":
        from fluxlab.lab import open_lab

        return open_lab
    if name == "load_ipython_extension":
        from fluxlab.magic import load_ipython_extension

        return load_ipython_extension
    raise AttributeError(f"module 'fluxlab' has no attribute {name!r}")
