"""Render docs/findings.md, whose words are docs/findings.md.j2 and whose numbers and figures those of a results folder.

python docs/render_findings.py results      (after both configurations that docs/findings.md names)
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from scaling_lab.report.formats import estimate, number, spread

DOCS = Path(__file__).parent
WIDTH = 1100  # pixels of a figure


def plain(entry: dict[str, Any]) -> str:
    """`0.096 (0.081 to 0.114) nats` for an estimate of a fit."""
    return f"{estimate(entry).striptags()} {entry.get('unit') or ''}".strip()


def rows(head: Iterable[str], cells: Iterable[Iterable[str]]) -> str:
    """A table."""
    head = list(head)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *cells))


@dataclass(frozen=True)
class Findings:
    """What the template asks of a results folder."""

    results: Path

    def read(self, name: str) -> Any:
        return json.loads((self.results / name).read_text(encoding="utf-8"))

    def fit(self, study: str, name: str) -> str:
        """All that a fit found, as a table, or why it was refused."""
        document = self.read(f"fits/{study}/{name}.json")
        if document["status"] != "ok":
            return f"`{name}` of `{study}` is refused: {document['reason']['message']}."
        found = document.get("findings") or [
            {"quantity": key, **value} for key, value in (document["parameters"] | document["derived"]).items()
        ]
        cells = [
            (entry["quantity"], plain(entry) if "value" in entry else f"refused: {entry['reason']['message']}")
            for entry in found
        ]
        return rows(("quantity", "value (90 %)"), cells)

    def values(self, study: str, name: str, *keys: str) -> str:
        """Some parameters of a fit in a line."""
        document = self.read(f"fits/{study}/{name}.json")
        if document["status"] != "ok":
            return f"refused ({document['reason']['code'].replace('_', ' ')})"
        known = document["parameters"] | document["derived"]
        return "; ".join(f"{key} {plain(known[key])}" for key in keys or known)

    def departed(self, study: str, name: str, *keys: str) -> str:
        """Intervals of the same parameters where losses depart from the law."""
        document = self.read(f"fits/{study}/{name}.json")
        if document["status"] != "ok":
            return f"refused ({document['reason']['code'].replace('_', ' ')})"
        known = document["parameters"] | document["derived"]
        return "; ".join(f"{key} {spread(known[key]['interval_departed']).striptags()}" for key in keys)

    def claims(self) -> str:
        cells = []
        for claim in self.read("claims.json")["claims"]:
            statistics = [
                f"{entry['name']} {plain(entry)}"
                + ("" if entry.get("published") is None else f" [paper {number(entry['published'])}]")
                for entry in claim["statistics"]
            ]
            decided = "; ".join(statistics) + f". {claim['why']}"
            cells.append((str(claim["number"]), claim["claim"], f"**{claim['verdict']}**", decided))
        return rows(("#", "claim", "verdict", "what decides it"), cells)

    def approaches(self, study: str) -> str:
        cells = []
        for name, found in self.read(f"plans/{study}/approaches.json")["approaches"].items():
            if found["status"] != "ok":
                cells.append((name.replace("_", " "), f"refused: {found['reason']['message']}", "", "", ""))
                continue
            exponents = [found["exponents"][key] for key in "ab"]
            departed = [spread(entry["interval_departed"]).striptags() for entry in exponents]
            cells.append((name.replace("_", " "), *(plain(entry) for entry in exponents), *departed))
        departing = ("a where losses depart from their law", "b there")
        return rows(("approach", "a: N* grows as C^a", "b: D* grows as C^b", *departing), cells)

    def contradictions(self, study: str) -> str:
        """How many pairs of approaches disagree, if laws are exact and if losses depart from them."""
        pairs = self.read(f"plans/{study}/approaches.json")["disagreements"]
        left = sum(bool(pair["departed_exponent"] or pair["departed_budgets"]) for pair in pairs)
        return (
            f"If every law is exact, {len(pairs)} pairs of approaches disagree beyond their 90 % intervals; where"
            f" losses depart smoothly from their laws, {left or 'none'} of them."
        )

    def warnings(self, study: str) -> list[str]:
        """What the comparison of approaches warns of."""
        warnings: list[str] = self.read(f"plans/{study}/approaches.json")["warnings"]
        return warnings

    def ladder(self, study: str) -> str:
        found = [
            (rung["label"], plain(rung["a"]) if rung["status"] == "ok" else f"refused: {rung['reason']['message']}")
            for rung in self.read(f"fits/{study}/corrections.json")["rungs"]
        ]
        return rows(("step", "a"), found)

    def held_out(self, study: str, law: str) -> str:
        """Prediction by a law beside measurement, for every model of the held-out budget."""
        document = self.read(f"fits/{study}/head_to_head.json")
        tokens = {entry["params"]: entry["tokens"] for entry in document["trained"]}
        predicted = next(entry for entry in document["predictions"] if entry["law"] == law)["runs"]
        cells = []
        for run in predicted:
            bounds = [f"{entry['low']:.3f} to {entry['high']:.3f}" for entry in run["intervals"]]
            losses = (f"{run['measured']:.3f}", f"{run['predicted']:.3f}")
            cells.append((f"{run['params']:,.0f}", f"{tokens[run['params']]:,.0f}", *losses, *bounds))
        levels = [f"{entry['level']:.0%}" for entry in predicted[0]["intervals"]]
        return rows(("N", "D", "measured", "predicted", *levels), cells)

    def asked(self, study: str, rule: str) -> str:
        """N that a rule asks for at the held-out budget."""
        picks = self.read(f"fits/{study}/head_to_head.json")["picks"]
        pick = next(entry for entry in picks if entry["rule"] == rule)
        return plain({"value": pick["params"], "interval": pick["interval"]})

    def figure(self, study: str, name: str, text: str) -> str:
        """A link to a figure, which is copied, small, to docs/findings/."""
        target = DOCS / "findings" / f"{study}-{name}.png"
        with Image.open(self.results / "figures" / study / f"{name}.png") as image:
            small = image.convert("RGB").resize((WIDTH, image.height * WIDTH // image.width), Image.Resampling.LANCZOS)
        small.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(target, optimize=True)
        return f"![{text}](findings/{target.name})"


def main() -> None:
    """Render from the results folder that the command names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    loader = jinja2.FileSystemLoader(DOCS)
    environment = jinja2.Environment(
        loader=loader, keep_trailing_newline=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    found = Findings(parser.parse_args().results)
    (DOCS / "findings.md").write_text(environment.get_template("findings.md.j2").render(found=found), encoding="utf-8")


if __name__ == "__main__":
    main()
