"""Draw before and after as horizontal bars on a logarithmic scale, in an SVG of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.bench.harness import Case

# Both colours stand out from both grounds; the label of each bar says which one it is.
STYLE = """
svg { --ground: #ffffff; --text: #1f2328; --faint: #59636e; --line: #d1d9e0;
      --before: #b45309; --after: #1d4ed8; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #0d1117; --text: #f0f6fc; --faint: #9198a1; --line: #3d444d;
        --before: #f59e0b; --after: #60a5fa; }
}
text { font: 13px system-ui, sans-serif; fill: var(--text); }
.title { font-size: 17px; font-weight: 600; }
.faint { fill: var(--faint); }
.work { font-weight: 600; }
.ground { fill: var(--ground); }
.line { stroke: var(--line); }
.before { fill: var(--before); }
.after { fill: var(--after); }
"""
WIDTH, LEFT, RIGHT = 960, 230, 170
TOP, HEAD, ROW, GAP, FOOT = 66, 22, 20, 14, 48


@dataclass(frozen=True)
class Bar:
    label: str
    milliseconds: float
    is_before: bool
    remark: str = ""


@dataclass(frozen=True)
class Group:
    """One piece of work and who does it."""

    name: str
    bars: list[Bar]

    @property
    def height(self) -> int:
        return HEAD + ROW * len(self.bars) + GAP


@dataclass(frozen=True)
class Scale:
    """Decades from `low` to `high` across the plot."""

    low: int
    high: int

    def place(self, milliseconds: float) -> float:
        share = (math.log10(milliseconds) - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def before_and_after(cases: list[Case]) -> list[Group]:
    """Return the cases that the legacy files can do: the first legacy candidate is before."""
    groups = []
    for case in cases:
        legacy = [timing for timing in case.timings if timing.label.startswith("legacy")]
        if not legacy:
            continue
        before = legacy[0].median * 1000
        bars = [Bar(legacy[0].label, before, is_before=True)]
        for timing in case.timings:
            if timing.label.startswith("platform"):
                after = timing.median * 1000
                bars.append(Bar(timing.label, after, is_before=False, remark=_times(before, after)))
        groups.append(Group(case.name, bars))
    return groups


def write(path: Path, title: str, groups: list[Group]) -> None:
    """Write the chart; a viewer in dark mode gets dark ground."""
    figures = [bar.milliseconds for group in groups for bar in group.bars]
    scale = Scale(math.floor(math.log10(min(figures) * 0.8)), math.ceil(math.log10(max(figures))))
    height = TOP + sum(group.height for group in groups) + FOOT
    svg = ET.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        width=f"{WIDTH}",
        height=f"{height}",
        role="img",
    )
    ET.SubElement(svg, "title").text = title
    ET.SubElement(svg, "style").text = STYLE
    ET.SubElement(svg, "rect", {"class": "ground"}, width="100%", height="100%")
    _text(svg, 16, 28, title, "title")
    _text(svg, 16, 48, "before: legacy files; after: the platform", "faint")
    _axis(svg, scale, height - FOOT)
    top = TOP
    for group in groups:
        _group(svg, scale, group, top)
        top += group.height
    ET.indent(svg)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ET.tostring(svg, encoding="unicode") + "\n", encoding="utf-8")


def _axis(svg: ET.Element, scale: Scale, bottom: int) -> None:
    for decade in range(scale.low, scale.high + 1):
        x = f"{scale.place(10.0**decade):.1f}"
        ET.SubElement(svg, "line", {"class": "line"}, x1=x, x2=x, y1=f"{TOP - 6}", y2=f"{bottom}")
        _text(svg, float(x), bottom + 16, f"{10.0**decade:g}", "faint", anchor="middle")
    middle = (LEFT + WIDTH - RIGHT) / 2
    label = "milliseconds at the median, logarithmic; shorter is better"
    _text(svg, middle, bottom + 36, label, "faint", anchor="middle")


def _group(svg: ET.Element, scale: Scale, group: Group, top: int) -> None:
    _text(svg, 16, top + 15, group.name, "work")
    for number, bar in enumerate(group.bars):
        y = top + HEAD + number * ROW
        end = scale.place(bar.milliseconds)
        _text(svg, LEFT - 10, y + 12, bar.label, "", anchor="end")
        ET.SubElement(
            svg,
            "rect",
            {"class": "before" if bar.is_before else "after"},
            x=f"{LEFT}",
            y=f"{y}",
            width=f"{end - LEFT:.1f}",
            height=f"{ROW - 5}",
            rx="2",
        )
        figure = f"{bar.milliseconds:.2g}" if bar.milliseconds < 10 else f"{bar.milliseconds:.0f}"
        _text(svg, end + 6, y + 12, f"{figure} ms {bar.remark}".rstrip())


def _text(
    svg: ET.Element, x: float, y: float, text: str, kind: str = "", anchor: str = "start"
) -> None:
    attributes = {"class": kind} if kind else {}
    element = ET.SubElement(svg, "text", attributes, x=f"{x:.1f}", y=f"{y:.1f}")
    element.set("text-anchor", anchor)
    element.text = text


def _times(before: float, after: float) -> str:
    if 0.95 < before / after < 1.05:
        return "(as fast)"
    if before > after:
        return f"({before / after:.1f} × faster)"
    return f"({after / before:.1f} × slower)"
