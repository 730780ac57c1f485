"""axe-core on a page as it stands, without the parts that are folded away: these are most of a page that has been used."""

from __future__ import annotations

from pathlib import Path

from tests.ui.tab import Tab

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async (options) => {
  // axe asks for the style of every node in its tree, which the browser has to compute anew for what is not displayed: most of its time.
  // So nothing below such a node is in the tree, unless something refers to it by its id (a label may be hidden). It is built at once,
  // after which the nodes are themselves again.
  const refers = "aria-labelledby aria-describedby aria-controls aria-owns aria-activedescendant aria-errormessage aria-details for headers list".split(" ")
  const cut = []
  const look = (root) => {
    const named = new Set(refers.flatMap((name) => [...root.querySelectorAll(`[${name}]`)].flatMap((e) => e.getAttribute(name).split(" "))))
    const walk = (e) => {
      if (!e.checkVisibility() && getComputedStyle(e).display === "none") {
        if (![e, ...e.querySelectorAll("[id]")].some(({id}) => id && named.has(id))) cut.push(e)
        return
      }
      for (const child of e.children) walk(child)
      if (e.shadowRoot) look(e.shadowRoot)
    }
    for (const child of root.children) walk(child)
  }
  look(document.body)
  for (const e of cut) Object.defineProperties(e, {childNodes: {value: [], configurable: true}, shadowRoot: {value: null, configurable: true}})
  const usual = {resultTypes: ["violations"], preload: false, rules: {region: {enabled: false}}}
  const found = axe.run(document, {...usual, ...options})
  for (const e of cut) {
    delete e.childNodes
    delete e.shadowRoot
  }
  return (await found).violations
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
