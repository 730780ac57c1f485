"""axe-core on a page as it stands."""

from __future__ import annotations

from pathlib import Path

from tests.ui.tab import Tab

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async (options) => {
  const usual = {resultTypes: ["violations"], preload: false, rules: {region: {enabled: false}}}
  return (await axe.run(document, {...usual, ...options})).violations
}"""
"""Without the rule about landmarks: it looks at every node, and what it finds is moderate at most."""
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}


def serious(tab: Tab, **options: object) -> list[str]:
    """What axe-core finds on the page as it stands: rule, element, and what is wrong with it."""
    assert AXE.exists(), "axe-core is missing: run scripts/browser once"
    if tab.page.evaluate("typeof axe") == "undefined":
        tab.page.evaluate(AXE.read_text(encoding="utf-8"))
    return [
        f"{rule['id']}: {node['html'][:160]} ({node.get('failureSummary', '')[:200]})"
        for rule in tab.page.evaluate(RUN, options)
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
