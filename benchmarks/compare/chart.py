"""A plain bar chart as SVG: text is text, and the colours follow the reader's light or dark background."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

LINE, LEFT, WIDTH, RIGHT, MARGIN = 20, 390, 330, 70, 16

STYLE = """
.page { fill: #ffffff }
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.group { font-weight: 600 }
.note, .value { fill: #57606a }
.ours { fill: #0969da }
.other { fill: #afb8c1 }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117 }
  text { fill: #e6edf3 }
  .note, .value { fill: #9198a1 }
  .ours { fill: #4493f8 }
  .other { fill: #656c76 }
}
"""


class Bar(NamedTuple):
    label: str
    value: float
    ours: bool


class Group(NamedTuple):
    title: str
    bars: Sequence[Bar]


def bar_chart(title: str, note: str, groups: Iterable[Group], form: str, full: float | None = None) -> str:
    """``full``: the value of a whole width; without it each group's longest bar has that."""
    body = [_text(0, 18, title, "title"), _text(0, 38, note, "note")]
    top = 52
    for group in groups:
        top += 10 + LINE
        body.append(_text(0, top - 5, group.title, "group"))
        longest = full or max((bar.value for bar in group.bars), default=0) or 1
        for bar in group.bars:
            body += _bar(bar, top, min(1.0, bar.value / longest) * WIDTH, form)
            top += LINE
    width, height = LEFT + WIDTH + RIGHT + 2 * MARGIN, top + 2 * MARGIN
    box = f"{-MARGIN} {-MARGIN} {width} {height}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{width}" role="img">'
    # A background of its own: the page around it may not follow what the reader prefers.
    page = f'<rect class="page" x="{-MARGIN}" y="{-MARGIN}" width="{width}" height="{height}"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", page, *body, "</svg>", ""])


def _bar(bar: Bar, top: float, width: float, form: str) -> list[str]:
    kind = "ours" if bar.ours else "other"
    return [
        _text(LEFT - 8, top + 14, bar.label, "label", 'text-anchor="end"'),
        f'<rect class="{kind}" x="{LEFT}" y="{top + 3}" width="{max(1.0, width):.1f}" height="{LINE - 6}"/>',
        _text(LEFT + max(1.0, width) + 6, top + 14, form.format(bar.value), "value"),
    ]


def _text(x: float, y: float, text: str, kind: str, more: str = "") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}"{" " + more if more else ""}>{escape(text)}</text>'
