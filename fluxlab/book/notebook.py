"""How values show themselves in a notebook: `%load_ext fluxlab`."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from fluxlab.plans.plan import Plan
from fluxlab.plans.view import plan_html


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the HTML of our values; `text/plain` stays their honest `repr`.

    Tables show short numbers, and charts only the form that the book and JupyterLab
    draw offline.
    """
    import pandas as pd
    import plotly.io

    formatters = shell.display_formatter
    assert formatters is not None
    formatters.formatters["text/html"].for_type(Plan, plan_html)
    plotly.io.renderers.default = "plotly_mimetype"
    pd.set_option("display.max_rows", 60)
    pd.set_option("display.max_colwidth", 60)
    pd.set_option("display.float_format", lambda number: f"{number:,.3g}")
