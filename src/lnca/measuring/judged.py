"""Markdown tables of the comparison: measured rows beside published ones, which are marked as quoted.

A table compares its methods on the pictures that have a score of all of them, and gives their number.
"""

from collections.abc import Iterable, Sequence
from importlib import resources
from statistics import fmean
from typing import Any

import yaml

from ..catalogue import unknown
from ..evaluation.protocols import SIGMAS
from ..evaluation.public_sets import SETS

# Picture -> PSNR and SSIM.
Scores = dict[str, list[float]]
# Loss in dB from which a pair counts as worse.
HARM = 0.05
# Tables of Gaussian noise: a title, and the protocols of its rows with their labels.
SHOWN = {
    "As papers have it: float noise, not clipped, sigma told": {"papers": ""},
    "As a user has it: 8 bits, clipped": {"users": ", blind", "users, told": ", told sigma"},
}


class Judged:
    """The methods of a result file.

    Args:
        content: content of the file that `lnca.measuring.judging.Record` writes.
        names: names of methods, in the order of the tables; all methods if None.

    Raises:
        LncaError: the file does not hold a name.
    """

    def __init__(self, content: dict[str, Any], names: Sequence[str] | None = None):
        for name in names or []:
            if name not in content["methods"]:
                raise unknown("judged method", name, content["methods"])
        self.methods = {name: content["methods"][name] for name in names or content["methods"]}
        self.seconds = content.get("seconds a megapixel", {})

    def scores(self, name: str, key: str) -> Scores:
        """The scores of a method; empty without any."""
        return self.methods[name]["rows"].get(key, {})

    def told_best(self, name: str) -> tuple[Scores, dict[str, float]]:
        """For real pairs, the scores at the best level of each pair, and these levels."""
        best: Scores = {}
        levels: dict[str, float] = {}
        for key in self.methods[name]["rows"]:
            if key.startswith("real/"):
                for picture, scores in self.scores(name, key).items():
                    if picture not in best or scores[0] > best[picture][0]:
                        best[picture], levels[picture] = scores, float(key.partition("/")[2])
        return best, levels


def tables(judged: Judged) -> str:
    """All tables with results, under titles, and the sources of quoted figures."""
    parts = [gaussian(judged, title, kind) for kind in ("colour", "grey") for title in SHOWN]
    parts += [real(judged), clean(judged), steps(judged), cost(judged)]
    text = "\n\n".join(part for part in parts if part)
    sources = [f"- {name}: {where}" for name, where in published()["sources"].items() if f"quoted from {name} " in text]
    return f"{text}\n\nQuoted figures are of all pictures:\n\n" + "\n".join(sources) if sources else text


def gaussian(judged: Judged, title: str, kind: str) -> str:
    """PSNR at each sigma, one column for each set, and SSIM at sigma 25.

    Args:
        title: one of `SHOWN`.
        kind: "colour" or "grey".
    """
    rows = {
        f"{method}{remark if what['heeds'] else ''}": (method, protocol)
        for method, what in judged.methods.items()
        for protocol, remark in list(SHOWN[title].items())[: None if what["heeds"] else 1]
    }
    cells: dict[str, list[list[Scores]]] = {}
    for label, (method, protocol) in rows.items():
        keys = [[f"{protocol}/{kind}/{name}/{sigma}" for sigma in SIGMAS] for name in SETS]
        cells[label] = [[judged.scores(method, key) for key in of_set] for of_set in keys]
    pictures = [_common(scores for row in cells.values() if all(row[n]) for scores in row[n]) for n in range(len(SETS))]
    chosen = [number for number in range(len(SETS)) if pictures[number]]
    if not chosen:
        return ""
    lines = []
    for label, (method, protocol) in rows.items():
        line = [_means(cells[label][number], pictures[number]) for number in chosen]
        if any(line):
            lines.append([label, *(cell or "-" for cell in line)])
        elif judged.methods[method]["refusal"] and protocol != "users":
            lines.append([label, *["refuses the input"] * len(chosen)])
    if "papers" in SHOWN[title]:
        lines += _quoted(kind, [SETS[number] for number in chosen])
    head = ["", *(f"{SETS[number]}, {len(pictures[number])} pictures" for number in chosen)]
    return _table(f"{title}{', in grey' * (kind == 'grey')}; PSNR in dB at sigma 15 / 25 / 50, SSIM at 25", head, lines)


def _quoted(kind: str, sets: Sequence[str]) -> list[list[str]]:
    """Rows of published figures."""
    lines = []
    for method, figures in published()[kind].items():
        cells = [" / ".join(f"{value:.2f}" for value in figures.get(name, [])) or "-" for name in sets]
        if any(cell != "-" for cell in cells):
            lines.append([f"{method}, quoted from {figures['source']}", *cells])
    return lines


def _means(scores: list[Scores], pictures: set[str]) -> str:
    """The cell of a set, from the scores at each sigma; empty if some are missing."""
    if not all(scores):
        return ""
    rows = [_of(each, pictures) for each in scores]
    return f"{' / '.join(f'{_mean(row):.2f}' for row in rows)}, {_mean(rows[SIGMAS.index(25)], 1):.3f}"


def _common(scores: Iterable[Scores]) -> set[str]:
    """The pictures that all scores have in common."""
    found = [set(each) for each in scores]
    return set.intersection(*found) if found else set()


def real(judged: Judged) -> str:
    """Real pairs: PSNR and SSIM, and the number of pairs that become worse than the input."""
    rows: dict[str, Scores] = {}
    notes: dict[str, dict[str, float]] = {}
    for method in judged.methods:
        if scores := judged.scores(method, "real"):
            rows[method] = scores
        best, levels = judged.told_best(method)
        if best:
            rows[f"{method}, told the best of its levels"] = best
            notes[f"{method}, told the best of its levels"] = levels
    if "given" not in rows:
        return ""
    pictures = _common(rows.values())
    lines = []
    for name, scores in rows.items():
        losses = [rows["given"][picture][0] - scores[picture][0] for picture in pictures]
        worse = [loss for loss in losses if loss > HARM]
        harm = f"{len(worse)}, by {fmean(worse):.2f}, at most {max(worse):.2f} dB" if worse else "0"
        level = f"{fmean(notes[name][picture] for picture in pictures):.0f}" if name in notes else "-"
        chosen = _of(scores, pictures)
        lines.append([name, f"{_mean(chosen):.2f}", f"{_mean(chosen, 1):.4f}", harm, level])
    head = ["", "PSNR", "SSIM", f"made worse by more than {HARM:g} dB", "mean level told"]
    return _table(f"Real photographs, {len(pictures)} pairs", head, lines)


def clean(judged: Judged) -> str:
    """Clean input: PSNR of the output, mean and worst."""
    keys = [f"clean/{name}" for name in (*SETS, "drawn")]
    found = {key: _common(filter(None, (judged.scores(method, key) for method in judged.methods))) for key in keys}
    found = {key: pictures for key, pictures in found.items() if pictures}
    lines = []
    for method in judged.methods:
        cells = []
        for key, pictures in found.items():
            scores = _of(judged.scores(method, key), pictures)
            worst = min(scores, key=lambda picture: (scores[picture][0], picture), default="")
            cells.append(f"{_mean(scores):.1f}, {scores[worst][0]:.1f} ({worst})" if scores else "")
        if all(cells) and cells:
            lines.append([method, *cells])
    counts = [f"{key.partition('/')[2]}, {len(pictures)}" for key, pictures in found.items()]
    return _table("Clean pictures in; PSNR in dB, mean and worst", ["", *counts], lines) if lines else ""


def steps(judged: Judged) -> str:
    """PSNR against steps, one line for each method and each condition."""
    parts = []
    for method, what in judged.methods.items():
        asked: dict[str, dict[int, str]] = {}
        for key in what["rows"]:
            if key.startswith("steps/"):
                of, _, count = key.removeprefix("steps/").rpartition("/")
                asked.setdefault(of, {})[int(count)] = key
        if not asked:
            continue
        counts = sorted({count for keys in asked.values() for count in keys})
        lines = []
        for of, keys in asked.items():
            pictures = _common(what["rows"][key] for key in keys.values())
            values = [f"{_mean(_of(what['rows'][keys[n]], pictures)):.2f}" if n in keys else "-" for n in counts]
            lines.append([f"{of.replace('/', ', sigma ')}, {len(pictures)} pictures", *values])
        head = ["", *(f"**{count}**" if count == what["steps"] else str(count) for count in counts)]
        parts.append(_table(f"{method} after so many steps, blind; PSNR in dB", head, lines))
    return "\n\n".join(parts)


def cost(judged: Judged) -> str:
    """Size, operations and time, and the time of these operations at the CPU's best rate."""
    rate = judged.seconds.get("environment", {}).get("multiply-adds a second")
    lines = []
    for method, what in judged.methods.items():
        ways = {
            n.partition(", ")[2]: t for n, t in judged.seconds.items() if n == method or n.startswith(f"{method}, ")
        }
        times = [
            f"{t['median']:.3g} ({t['low']:.3g} to {t['high']:.3g}){f' {way}' if way else ''}"
            for way, t in ways.items()
        ]
        if not (times or what["parameters"]):
            continue
        floor = f"{1e6 * what['operations'] / rate:.2g}" if rate and what["operations"] else "-"
        operations = f"{what['operations'] / 1e3:.0f}" if what["operations"] else "-"
        parameters = f"{what['parameters'] / 1e3:.0f}" if what["parameters"] else "-"
        lines.append([method, "; ".join(times) or "-", floor, operations, parameters])
    head = ["", "s a megapixel, one core", "floor in float32", "thousand multiply-adds a pixel", "thousand parameters"]
    return _table("Cost", head, lines) if lines else ""


def published() -> dict[str, dict[str, Any]]:
    """Quoted figures: "sources": name -> text; "colour" and "grey": method -> {"source", set: [PSNR at each sigma]}."""
    return yaml.safe_load((resources.files("lnca.measuring") / "published.yaml").read_text("utf-8"))


def _of(scores: Scores, pictures: Iterable[str]) -> Scores:
    return {picture: scores[picture] for picture in pictures if picture in scores}


def _mean(scores: Scores, which: int = 0) -> float:
    return fmean(row[which] for row in scores.values())


def _table(title: str, head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return f"{title}:\n\n" + "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)
