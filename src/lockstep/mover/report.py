"""An inspection as one HTML file that needs nothing else.

Owns the page. Every text from the database is escaped; the page loads nothing.
"""

from __future__ import annotations

from html import escape
from typing import Any

from lockstep.mover.results import Finding, Inspection

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;
color:#1c2430;background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0}th,td{text-align:left;
padding:.3rem .6rem;border-bottom:1px solid #dde3ea;vertical-align:top}
th{font-weight:600;background:#f4f6f9}code{background:#f4f6f9;padding:0 .25rem}
.bar{display:flex;height:.6rem;border-radius:.3rem;overflow:hidden;min-width:8rem}
.null{background:#d5dbe3}.integer{background:#3b7dd8}.real{background:#37a2a8}
.text{background:#7cb342}.blob{background:#8e5bb5}.dirt{color:#b3261e;font-weight:600}
.quiet{color:#66707d}details{margin:.4rem 0}summary{cursor:pointer;font-weight:600}
@media(prefers-color-scheme:dark){body{background:#14181d;color:#e4e8ee}
th,code{background:#20262e}th,td{border-color:#303842}}
"""
_CLASSES = ("integer", "real", "text", "blob", "null")


def html_report(found: Inspection) -> str:
    """Return the page."""
    rows = sum(table["rows"] or 0 for table in found.tables)
    dirt = [f for f in found.findings if not f.kind.startswith("not carried")]
    lost = [f for f in found.findings if f.kind.startswith("not carried")]
    legend = " ".join(
        f'<span class="{name}" style="padding:0 .4rem">&nbsp;</span> {name}'
        for name in _CLASSES
    )
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width">',
        f"<title>{escape(found.url)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(found.url)}</h1>",
        f"<p>{len(found.tables)} tables, {rows:,} rows. Every value was looked at.</p>",
        "".join(f"<p class=quiet>{escape(text)}</p>" for text in found.notices),
        f"<h2>Dirt ({len(dirt)})</h2>",
        _findings(dirt) if dirt else "<p>None found.</p>",
        f"<h2>Not carried to the other engine ({len(lost)})</h2>",
        _findings(lost) if lost else "<p>Everything is carried.</p>",
        f"<h2>Tables</h2><p class=quiet>{legend}</p>",
        "".join(_table(table) for table in found.tables),
        f"<h2>Indexes, triggers and views ({len(found.objects)})</h2>",
        "".join(_object(item) for item in found.objects),
        "</html>",
    ]
    return "\n".join(parts)


def _findings(findings: list[Finding]) -> str:
    rows = "".join(
        f"<tr><td class=dirt>{escape(f.kind)}<td><code>{escape(f.where)}</code>"
        f"<td>{escape(f.message)}<td>{f.count or ''}"
        f"<td class=quiet>{escape('; '.join(f.examples))}"
        for f in findings
    )
    return f"<table><tr><th>What<th>Where<th>Why<th>Cells<th>Examples{rows}</table>"


def _table(table: dict[str, Any]) -> str:
    kind = "" if table["kind"] == "table" else f" · {escape(table['kind'])}"
    count = "" if table["rows"] is None else f"{table['rows']:,} rows"
    rows = "".join(
        f"<tr><td><code>{escape(column['name'])}</code><td>{escape(column['declared'])}"
        f"<td>{_bar(column.get('stored', {}))}<td>{escape(column['becomes'])}"
        for column in table["columns"]
    )
    return (
        f"<details open><summary>{escape(table['name'])} "
        f"<span class=quiet>{count}{kind}</span></summary>"
        f"<table><tr><th>Column<th>Declared<th>Stored<th>Becomes{rows}</table></details>"
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
        f'<div class=bar title="{words}">{pieces}</div><span class=quiet>{words}</span>'
    )


def _object(item: dict[str, str]) -> str:
    return (
        f"<details><summary>{escape(item['kind'])} {escape(item['name'])}</summary>"
        f"<pre>{escape(item['sql'])}</pre></details>"
    )
