"""Why is this number what it is? Follow one attention score down to a weight and a token id.

python examples/why.py [MODEL] [TEXT]
"""

from __future__ import annotations

import sys

import txpanel


def main(name: str = "smollm2-135m", text: str = "Data visualization empowers users to") -> None:
    trace = txpanel.load(name).trace(text)
    last = len(trace.tokens.ids) - 1
    place = ("blocks.1.scores", {"head": 0, "query": last, "key": 0})
    while place:
        tensor, index = place
        found = trace.why(tensor, **index)
        sign = "adds up" if found.check.ok else "does NOT add up"
        print(f"{tensor} {index} = {found.value:.6g}, {len(found.terms)} operands, {sign}")
        for term in found.terms[:3]:
            print(f"    {term.value:+.6g}  {term.label}")
        source = found.terms[0].source if found.terms else None
        place = (source.name, source.index) if source else None


if __name__ == "__main__":
    main(*sys.argv[1:])
