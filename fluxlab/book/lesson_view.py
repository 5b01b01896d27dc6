"""How exercises show themselves in a notebook: HTML without a script, like the plans.

Colours come from the page, as in `plans.views.html`; a mark and a word say what colour
says.
"""

from __future__ import annotations

from html import escape

from fluxlab.book.lessons import Exercise, Hint, Reply, Solution
from fluxlab.book.plan_words import PsqlPlan
from fluxlab.plans.plan import Plan
from fluxlab.plans.views.html import plan_html

_STYLE = """<style>
.flux-lesson {
  --lesson-quiet: var(--flux-quiet, color-mix(in srgb, currentColor 70%, transparent));
  --lesson-line: var(--flux-line, color-mix(in srgb, currentColor 25%, transparent));
  --lesson-panel: var(--flux-panel, color-mix(in srgb, currentColor 6%, transparent));
  --lesson-right: var(--flux-after, #0072b2);
  --lesson-wrong: var(--flux-worse, #d55e00);
  --lesson-before: var(--flux-before, #8a8f98);
  --lesson-mono: var(--flux-mono, var(--jp-code-font-family, ui-monospace, monospace));
  border-left: .3em solid var(--lesson-edge, var(--lesson-before));
  font-size: .95em; line-height: 1.45; overflow-wrap: anywhere; padding: .1em 0 .1em .9em;
}
.flux-lesson.lesson-right { --lesson-edge: var(--lesson-right); }
.flux-lesson.lesson-wrong { --lesson-edge: var(--lesson-wrong); }
.flux-lesson p { margin: .35em 0; max-width: 60em; }
.flux-lesson .lesson-quiet { color: var(--lesson-quiet); }
.flux-lesson .lesson-mark { color: var(--lesson-edge); font-weight: 700; }
.flux-lesson.flux-lesson.flux-lesson code {
  background: none; border: 0; color: inherit; font-family: var(--lesson-mono);
  font-size: .92em; padding: 0;
}
.flux-lesson.flux-lesson.flux-lesson pre {
  background: var(--lesson-panel); border: 1px solid var(--lesson-line); color: inherit;
  font-family: var(--lesson-mono); font-size: .85em; line-height: 1.4; margin: .5em 0;
  max-width: 100%; overflow-x: auto; padding: .5em .7em; white-space: pre;
}
.flux-lesson.flux-lesson.flux-lesson pre code {
  font-size: 1em; overflow-wrap: normal; white-space: pre;
}
.flux-lesson.lesson-plain { border: 0; padding: 0; }
.flux-lesson details { border: 0; margin: .4em 0; padding: 0; }
.flux-lesson summary { cursor: pointer; margin: 0; padding: .1em .2em; }
.flux-lesson summary:focus-visible { outline: 3px solid var(--lesson-right); }
.flux-lesson ul { margin: .2em 0 .4em; padding-left: 1.2em; }
</style>"""


def exercise_html(exercise: Exercise) -> str:
    """Return the question, what to look at, and how to answer."""
    asked = exercise.question
    goal = f"<p>{escape(asked.goal)}</p>" if asked.goal else ""
    return _framed(
        f"Exercise: {asked.name}",
        f"<p><strong>Exercise: {escape(asked.name)}.</strong> {escape(asked.text)}</p>"
        f"{_code(asked.shown)}{goal}"
        f'<p class="lesson-quiet">Answer with {_ticked(asked.how)}; '
        f"{len(asked.hints)} hints by <code>hint()</code>, the answer by "
        "<code>solution()</code>.</p>",
    )


def reply_html(reply: Reply) -> str:
    """Return whether an answer is right, and why; below it the plan, folded."""
    mark, word = ("✓", "Right.") if reply.is_right else ("✗", "Not yet.")
    return _framed(
        "Reply",
        f'<p><span class="lesson-mark" aria-hidden="true">{mark}</span> '
        f"<strong>{word}</strong> {escape(reply.text)}</p>{_plan(reply.plan)}",
        "lesson-right" if reply.is_right else "lesson-wrong",
    )


def hint_html(hint: Hint) -> str:
    """Return a hint, and how many there are."""
    place = f"Hint {hint.number} of {hint.count}." if hint.number else "No more hints."
    return _framed("Hint", f"<p><strong>{place}</strong> {escape(hint.text)}</p>")


def solution_html(solution: Solution) -> str:
    """Return the answer, why it is right, and what is wrong with the others."""
    code = _code(solution.code) if solution.code else ""
    others = "".join(
        f"<li><code>{escape(option)}</code><br>{escape(reason)}</li>"
        if solution.code
        else f"<li>{escape(option)}: {escape(reason)}</li>"
        for option, reason in solution.others
    )
    why_not = f"<p>Why not the others?</p><ul>{others}</ul>" if others else ""
    return _framed(
        "Solution",
        f"<p><strong>Solution.</strong> {escape(solution.text)}</p>{code}{why_not}"
        f"{_plan(solution.plan)}",
        "lesson-right",
    )


def psql_html(text: PsqlPlan) -> str:
    """Return a plan as psql prints it, in a box that scrolls instead of breaking lines."""
    return _framed("Plan as psql prints it", _code(text), "lesson-plain")


def _framed(name: str, body: str, css: str = "") -> str:
    return (
        f'<div class="flux-lesson {css}" role="group" aria-label="{escape(name)}">'
        f"{_STYLE}{body}</div>"
    )


def _code(text: str) -> str:
    # A scrolled box has to be reached by the keyboard too.
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def _ticked(how: str) -> str:
    """Set what is typed, from `check(` on, as code."""
    words, call, rest = escape(how, quote=False).partition("check(")
    return f"{words}<code>{call}{rest}</code>" if call else words


def _plan(plan: Plan | None) -> str:
    if plan is None:
        return ""
    return f"<details><summary>The plan</summary>{plan_html(plan)}</details>"
