"""The picture: a panel for each measure. Runs in the environment that has matplotlib.

python drawing.py FILE.png < rows.json
"""

from __future__ import annotations

import json
import sys
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found]

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes  # type: ignore[import-not-found]

PANELS = (
    ("first audio", "First audio (ms)"),
    ("gaps", "Gaps in a reply (ms)"),
    ("tail", "Tail: silence until the end is told (ms)"),
    ("barge-in", "Barge-in to next audio (ms)"),
    ("idle", "Idle to first audio (ms)"),
    ("CPU/s", "CPU for a second of audio (ms)"),
)
COLOURS = ("#8c8c8c", "#0b6e99", "#6fb1cc", "#c8553d", "#e0a458")


def draw(told: dict[str, Any], path: str) -> None:
    """Draw everything into a file."""
    figure, axes = plt.subplots(2, 3, figsize=(16, 8.5), layout="constrained")
    for panel, (name, title) in zip(axes.flat, PANELS, strict=True):
        _panel(panel, told, name)
        panel.set_title(title, loc="left", fontsize=11)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle("Bars: medians; lines: up to the 95th percentile.  " + told["title"], fontsize=9)
    figure.savefig(path, dpi=110)


def _panel(panel: Axes, told: dict[str, Any], name: str) -> None:
    counts = told["counts"]
    width = 0.8 / len(told["labels"])
    for index, (contestant, label) in enumerate(told["labels"].items()):
        places = [place + (index - (len(told["labels"]) - 1) / 2) * width for place in range(len(counts))]
        values = [told["values"].get(f"{contestant} {count} {name}") for count in counts]
        heights = [value[0] if value else 0.0 for value in values]
        above = [max(0.0, value[1] - value[0]) if value else 0.0 for value in values]
        panel.bar(places, heights, width * 0.92, label=label, color=COLOURS[index % len(COLOURS)])
        panel.errorbar(places, heights, ([0.0] * len(above), above), fmt="none", ecolor="#333333", elinewidth=0.8)
        for place, value in zip(places, values, strict=True):
            if value is None:
                panel.annotate("failed", (place, 0), rotation=90, ha="center", va="bottom", fontsize=8)
    panel.set_xticks(range(len(counts)), [f"{count} session{'s' * (count != 1)}" for count in counts])
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_ylim(bottom=0)


if __name__ == "__main__":
    draw(json.load(sys.stdin), sys.argv[1])
