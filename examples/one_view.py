"""One view inside an application of your own. Run: panel serve examples/one_view.py --show."""

from __future__ import annotations

import os

import panel as pn

import txpanel

pn.extension()
model = pn.state.as_cached("model", txpanel.load, name=os.environ.get("TXPANEL_MODEL", "nano"))
state = txpanel.ModelState(model=model, text="CBABBC=")
text = pn.widgets.TextInput(name="Text", value=state.text)
text.param.watch(lambda event: state.param.update(text=event.new), "value")
pn.Column("# Who looks at whom", text, txpanel.views.AttentionView(state)).servable()
