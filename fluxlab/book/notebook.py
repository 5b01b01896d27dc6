"""How values show themselves in a notebook; `fluxlab.magic` registers them."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from fluxlab.book import lesson_view, values
from fluxlab.book.lessons import Exercise, Hint, Reply, Solution
from fluxlab.book.plan_words import PsqlPlan
from fluxlab.book.verdicts import Verdict
from fluxlab.indexes.catalog import IndexFacts
from fluxlab.indexes.decisions import Decision
from fluxlab.indexes.definition import IndexDef
from fluxlab.plans.differences import PlanDiff
from fluxlab.plans.findings import Finding
from fluxlab.plans.plan import Plan
from fluxlab.plans.views.html import finding_html, plan_html
from fluxlab.plans.views.side_by_side import diff_html
from fluxlab.workload.compare import Comparison
from fluxlab.workload.query import Query


def register(shell: InteractiveShell) -> None:
    """Register the HTML of our values; `text/plain` stays their honest `repr`.

    Tables show short numbers, and charts only the form that the book and JupyterLab
    draw offline.
    """
    import pandas as pd
    import plotly.io

    formatters = shell.display_formatter
    assert formatters is not None
    html = formatters.formatters["text/html"]
    html.for_type(Plan, plan_html)
    html.for_type(Finding, finding_html)
    html.for_type(PlanDiff, diff_html)
    html.for_type(Query, values.query_html)
    html.for_type(Comparison, values.comparison_html)
    html.for_type(Verdict, values.verdict_html)
    html.for_type(IndexFacts, values.index_html)
    html.for_type(IndexDef, values.definition_html)
    html.for_type(Decision, values.decision_html)
    html.for_type(PsqlPlan, lesson_view.psql_html)
    html.for_type(Exercise, lesson_view.exercise_html)
    html.for_type(Reply, lesson_view.reply_html)
    html.for_type(Hint, lesson_view.hint_html)
    html.for_type(Solution, lesson_view.solution_html)
    plotly.io.renderers.default = "plotly_mimetype"
    pd.set_option("display.max_rows", 60)
    pd.set_option("display.max_colwidth", 60)
    pd.set_option("display.float_format", lambda number: f"{number:,.3g}")
