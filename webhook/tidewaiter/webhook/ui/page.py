"""The page and the form in front of it, as HTML; every text from elsewhere is escaped, and there is no script."""

from __future__ import annotations

import base64
import hashlib
import time
from html import escape
from typing import TYPE_CHECKING

from tidewaiter.rules.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidewaiter.webhook.ui.view import View

STYLE = """
:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--quiet:#555c66;--line:#c9ced6;--link:#0b57b0;--bad:#a40e26;--good:#116329}
@media(prefers-color-scheme:dark){:root{--back:#14171c;--text:#e8ebef;--quiet:#aeb6c1;--line:#414954;--link:#8ab8ff;--bad:#ff9a9a;--good:#7ddc93}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1rem;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .25rem}
a{color:var(--link)}p,caption{color:var(--quiet)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;list-style:none;padding:0}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}
caption{text-align:left;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
thead th{white-space:nowrap}td.number{font-variant-numeric:tabular-nums;white-space:nowrap}
td.long{min-width:12rem}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
input,button{font:inherit;color:inherit;background:var(--back);border:1px solid var(--quiet);border-radius:.25rem;padding:.4rem .7rem}
input{width:100%;max-width:40rem;display:block;margin:.25rem 0 .75rem}
""".strip()
CSP = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_BAD = frozenset({"denied", "error", "not ready", "expired"})
_GOOD = frozenset({"allowed", "ready", "ok"})


def sign_in(message: str = "") -> str:
    """Return the form that asks for a token."""
    told = f'<p class="bad" role="alert">{escape(message)}</p>' if message else ""
    return _document(
        "Sign in",
        f"""<main><h1>tidewaiter</h1>{told}
<form method="post" action="/ui/login"><label for="token">Token of the cluster</label>
<input id="token" name="token" type="password" autocomplete="off" required>
<button type="submit">Sign in</button></form>
<p>For instance one of <code>kubectl create token NAME</code>. It is asked about at the API server, which says who may
look, and kept in a cookie of this browser until it is closed.</p></main>""",
    )


def page(view: View) -> str:
    """Return the page."""
    sections = [
        (
            "health",
            "Health",
            _table("What must hold", ("What", "State"), view.health)
            + "<details><summary>What else is worth knowing</summary>"
            + _table("Notes", ("What", "Note"), view.notes)
            + "</details>",
        ),
        (
            "policy",
            "Policy in force",
            _table("The policy that reviews are judged by", ("What", "Value"), view.policy),
        ),
        ("namespaces", "Namespaces by readiness", _namespaces(view)),
        (
            "rules",
            "Most violated rules",
            _table(
                f"Reviews that violated a rule, by this replica since {_moment(view.since)}",
                ("Rule", "Reviews"),
                view.rules,
            ),
        ),
        (
            "exemptions",
            "Exemptions that end soon",
            _table(
                "Exemptions of the policy that have ended, or end within 30 days",
                ("Ends", "State", "Rules", "Reason"),
                view.exemptions,
            ),
        ),
        (
            "decisions",
            "Recent decisions",
            _table(
                "The last decisions of this replica, the newest first",
                ("Time", "Verdict", "Operation", "Object", "By", "Rules violated"),
                view.decisions,
            ),
        ),
    ]
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title, _ in sections)
    body = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>{content}</section>'
        for name, title, content in sections
    )
    return _document(
        "What the gate does",
        f"""<header><h1>tidewaiter</h1><p>{escape(view.replica)}, at {_moment(view.now)}. <a href="/ui">Read again</a></p>
<nav aria-label="On this page"><ul>{links}</ul></nav></header><main>{body}</main>
<footer><form method="post" action="/ui/logout"><button type="submit">Sign out</button></form>
<p>tidewaiter {escape(__version__)}. Nothing can be changed here.</p></footer>""",
    )


def _namespaces(view: View) -> str:
    if view.audited is None:
        return (
            "<p>This replica has made no background audit. One of the replicas makes them; its page has the result, as have "
            "the reports in the cluster.</p>"
        )
    caption = f"Violations in each namespace by the audit of {_moment(view.audited)}, the least ready first"
    more = f"<p>{view.ready} namespaces are ready: no error in them."
    more += f" {view.left_out} more are not listed.</p>" if view.left_out else "</p>"
    return more + _table(
        caption, ("Namespace", "State", "Errors", "Warnings", "Infos", "Unknown"), view.namespaces
    )


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    body = "".join(f"<tr>{_first(row[0])}{''.join(map(_cell, row[1:]))}</tr>" for row in rows)
    if not body:
        return f"<p>{escape(caption)}: none.</p>"
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    # A region that scrolls is reached by the keyboard.
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _first(value: str | int) -> str:
    return f'<th scope="row">{escape(str(value))}</th>'


def _cell(value: str | int) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value}</td>'
    name = (
        "bad" if value in _BAD else "good" if value in _GOOD else "long" if len(value) > 20 else ""
    )
    return f'<td class="{name}">{escape(value)}</td>' if name else f"<td>{escape(value)}</td>"


def _moment(seconds: float) -> str:
    told = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    return f"{told} UTC"


def _document(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} - tidewaiter</title><style>{STYLE}</style></head><body>{body}</body></html>"
    )
