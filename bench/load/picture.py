"""The ratios as a picture (SVG): a group of bars for each kind of work, a line where NGINX is. It can be read on light and dark."""

from html import escape
from statistics import median

import report

# What is more than this is cut off, and told in figures.
MOST = 2.4
LEFT, WIDTH, BAR, GAP, TOP = 450, 520, 11, 12, 64
COLOURS = {
    "gatehouse": "#e4572e",
    "HAProxy": "#5b8def",
    "H2O": "#3aa6a0",
    "Caddy": "#a77bca",
    "Pingora": "#d4a017",
    "TCP splice": "#8a8f98",
}
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.small { font-size: 10px }
.bold { font-weight: 600 }
.line { stroke: #24292f }
.grid { stroke: #24292f; opacity: .15 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .line, .grid { stroke: #e6edf3 } }
"""


def draw(found):
    """The whole picture."""
    sides = [side for side in report.names(found) if side != report.YARDSTICK]
    parts, y = [], TOP
    for load, by_side in found.items():
        group, height = bars(load, by_side, [side for side in sides if side in by_side], y)
        parts += group
        y += height + GAP
    parts = [*axis(y), *legend(sides), *parts]
    size = f'width="{LEFT + WIDTH + 90}" height="{y + 8}" viewBox="0 0 {LEFT + WIDTH + 90} {y + 8}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">', f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def x_of(ratio):
    """Where a ratio is."""
    return LEFT + WIDTH * min(ratio, MOST) / MOST


def bars(load, by_side, sides, y):
    """A group, and its height."""
    height = len(sides) * BAR
    parts = [f'<text x="{LEFT - 10}" y="{y + height / 2 + 4:.0f}" text-anchor="end">{escape(load)}</text>']
    for at, side in enumerate(sides):
        ratios = report.ratios(by_side, side)
        ratio, top = median(ratios), y + at * BAR
        more = "" if ratio <= MOST else " →"
        told = f"{side}, {load}: {ratio:.2f} ({ratios[0]:.2f} – {ratios[-1]:.2f})"
        shape = f'x="{LEFT}" y="{top + 1}" width="{x_of(ratio) - LEFT:.1f}" height="{BAR - 2}"'
        parts.append(f'<rect {shape} fill="{COLOURS.get(side, "#888")}"><title>{escape(told)}</title></rect>')
        weight = "small bold" if side == "gatehouse" else "small"
        parts.append(f'<text class="{weight}" x="{x_of(ratio) + 4:.1f}" y="{top + BAR - 2}">{ratio:.2f}{more}</text>')
    return parts, height


def axis(bottom):
    """The title, a grid, and the line of the yardstick."""
    yield f'<text class="bold" x="{LEFT}" y="18">CPU for each answer, ratio to {report.YARDSTICK} = 1.00 (less is better)</text>'
    for tenths in range(0, int(MOST * 10) + 1, 2):
        x = x_of(tenths / 10)
        yield f'<line class="{"line" if tenths == 10 else "grid"}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom}"/>'
        if tenths % 4 == 2 or tenths == 0:
            yield f'<text class="small" x="{x:.1f}" y="{TOP - 12}" text-anchor="middle">{tenths / 10:.1f}</text>'


def legend(sides):
    """Which colour is whose."""
    for at, side in enumerate(sides):
        x = LEFT + at * 90
        yield f'<rect x="{x}" y="28" width="10" height="10" fill="{COLOURS.get(side, "#888")}"/>'
        yield f'<text class="small" x="{x + 14}" y="37">{escape(side)}</text>'
