"""An inspection as one HTML file that needs nothing else.

Owns the page. Every text from the database is escaped; the page loads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import compress
from typing import Any

from lockstep.mover.model.results import Finding, Inspection, together
from lockstep.wording import counted

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--page:#fff;--quiet:#5a6470;--line:#dde3ea;
--head:#f4f6f9;--dirt:#b3261e;--null:#d5dbe3;--integer:#3b7dd8;--real:#37a2a8;
--text:#7cb342;--blob:#8e5bb5}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--page:#14181d;--quiet:#9aa5b1;
--line:#303842;--head:#20262e;--dirt:#ff8a80;--null:#48525e}}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;
color:var(--ink);background:var(--page);overflow-wrap:anywhere}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);
vertical-align:top}
th{font-weight:600;white-space:nowrap;background:var(--head)}
code{background:var(--head);padding:0 .25rem}pre{overflow-x:auto}
.bar{display:flex;height:.6rem;border-radius:.3rem;overflow:hidden;min-width:8rem;
margin-top:.35rem}
.sign{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;
vertical-align:-.05rem;margin-left:.6rem}
.null{background:var(--null)}.integer{background:var(--integer)}
.real{background:var(--real)}.text{background:var(--text)}.blob{background:var(--blob)}
.dirt{color:var(--dirt);font-weight:600;white-space:nowrap}.quiet{color:var(--quiet)}
details{margin:.4rem 0}summary{cursor:pointer;font-weight:600}
@media(min-width:44rem){td:nth-child(2){min-width:12rem}}
@media(max-width:44rem){thead{position:absolute;left:-999rem}
tr{display:block;border-bottom:1px solid var(--line);padding:.3rem 0}
td{display:flex;border:0;padding:.1rem 0}td:empty{display:none}
td::before{content:attr(data-label);flex:0 0 6rem;color:var(--quiet);font-weight:400}
td>*{min-width:0}td>div{flex:1}}
"""
_LOST = "not carried: "
_CLASSES = ("integer", "real", "text", "blob", "null")


def html_report(found: Inspection) -> str:
    """Return the page."""
    rows = sum(table["rows"] or 0 for table in found.tables)
    dirt = [f for f in found.findings if not f.kind.startswith(_LOST)]
    lost = [f for f in found.findings if f.kind.startswith(_LOST)]
    legend = " ".join(
        f'<span class="sign {name}" aria-hidden=true></span> {name}'
        for name in _CLASSES
    )
    tables = counted(len(found.tables), "table")
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width">',
        f"<title>{escape(found.url)}</title><style>{_STYLE}</style>",
        f"<main><h1>{escape(found.url)}</h1>",
        f"<p>{tables}, {counted(rows, 'row')}. Every value was looked at.</p>",
        "".join(f"<p class=quiet>{escape(text)}</p>" for text in found.notices),
        f"<h2>Dirt ({len(dirt)})</h2>",
        _findings(dirt) if dirt else "<p>None found.</p>",
        f"<h2>Not carried to the other engine ({len(lost)})</h2>",
        _findings(lost) if lost else "<p>Everything is carried.</p>",
        f"<h2>Tables</h2><p class=quiet>Stored as:{legend}</p>",
        "".join(_table(table) for table in found.tables),
        f"<h2>Indexes, triggers and views ({len(found.objects)})</h2>",
        "".join(_object(item) for item in found.objects),
        "</main></html>",
    ]
    return "\n".join(parts)


def _grid(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table without the columns that hold nothing.

    On a phone each cell says by its label what it is.
    """
    filled = [any(row[place] for row in rows) for place in range(len(headers))]
    headers = tuple(compress(headers, filled))
    rows = [tuple(compress(row, filled)) for row in rows]
    head = "".join(f"<th scope=col>{name}" for name in headers)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{name}">{cell}</td>'
            for name, cell in zip(headers, row, strict=True)
        )
        for row in rows
    )
    return f"<table><thead><tr>{head}</thead><tbody>{body}</tbody></table>"


def _findings(findings: list[Finding]) -> str:
    return _grid(
        ("What", "Where", "Why", "Cells", "Examples"),
        [
            (
                f"<span class=dirt>{escape(found.kind.removeprefix(_LOST))}</span>",
                f"<code>{escape(found.where)}</code>",
                f"<span>{escape(found.message)}</span>",
                f"{found.count:,}" if found.count else "",
                f"<span class=quiet>{escape('; '.join(found.examples))}</span>"
                if found.examples
                else "",
            )
            for found in together(findings)
        ],
    )


def _table(table: dict[str, Any]) -> str:
    kind = "" if table["kind"] == "table" else f" · {escape(table['kind'])}"
    count = "" if table["rows"] is None else counted(table["rows"], "row")
    grid = _grid(
        ("Column", "Declared", "Stored", "Becomes"),
        [
            (
                f"<code>{escape(column['name'])}</code>",
                escape(column["declared"]),
                _bar(column.get("stored", {})),
                escape(column["becomes"]),
            )
            for column in table["columns"]
        ],
    )
    return (
        f"<details open><summary>{escape(table['name'])} "
        f"<span class=quiet>{count}{kind}</span></summary>{grid}</details>"
    )


def _bar(stored: dict[str, int]) -> str:
    total = sum(stored.values())
    if not total:
        return ""
    pieces = "".join(
        f'<span class="{name}" style="width:{100 * stored[name] / total:.2f}%"></span>'
        for name in _CLASSES
        if stored.get(name)
    )
    words = ", ".join(f"{stored[n]:,} {n}" for n in _CLASSES if stored.get(n))
    return (
        f"<div><div class=bar aria-hidden=true>{pieces}</div>"
        f"<span class=quiet>{words}</span></div>"
    )


def _object(item: dict[str, str]) -> str:
    return (
        f"<details><summary>{escape(item['kind'])} {escape(item['name'])}</summary>"
        f"<pre>{escape(item['sql'])}</pre></details>"
    )
