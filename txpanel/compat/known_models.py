"""A message to a page without a list of all models of the page.

For every message Bokeh makes a set of all models that the browser knows, and a reference to each, although a message names few. Our page has
some thousand models, and a change of head or of a setting is a dozen messages: a sixth of a full server's one thread went there. Here a model
is looked up when a message comes to it.

Versions: Bokeh 3.9 to 3.10.
Reason: speed of every message; the row "without known_models" of ``python -m benchmarks.replacements``.
Upstream: bokeh/bokeh, bokeh/protocol/messages/patch_doc.py, `patch_doc.create`: ask the document whether a model is known.
Test: tests/compat/test_known_models.py::test_bokeh_still_lists_all_models_for_each_message
"""

from __future__ import annotations

from typing import Any

from bokeh.core.serialization import Serializer
from bokeh.document.document import Document
from bokeh.document.models import DocumentModelManager
from bokeh.model import Model
from bokeh.protocol.messages.patch_doc import PatchJson, patch_doc

from txpanel.compat.replacing import fits, replace

__all__ = ["mend"]

NEEDS = (
    "serializer = Serializer(references=doc.models.synced_references)",
    "patch_json = PatchJson(events=serializer.encode(events))",
    "doc.models.flush_synced(lambda model: not serializer.has_ref(model))",
    "msg = cls(header, metadata, patch_json)\n        msg.add_buffers(*serializer.buffers)",
)


class Asking(Serializer):
    """Asks a document for what the browser knows, instead of being given all of it."""

    def __init__(self, doc: Document) -> None:
        super().__init__()
        self._models, self._new = doc.models._models, doc.models._new_models

    def has_ref(self, obj: Any) -> bool:
        """Whether the browser knows a model, or this message has brought it."""
        return super().has_ref(obj) or self._known(obj)

    def get_ref(self, obj: Any) -> Any:
        """What stands for a model that the browser knows."""
        found = super().get_ref(obj)
        return obj.ref if found is None and self._known(obj) else found

    def _known(self, obj: Any) -> bool:
        return isinstance(obj, Model) and self._models.get(obj.id) is obj and obj not in self._new


def mend() -> None:
    """Takes the short way to the same messages; once per process, may be called again."""

    def short(own: Any) -> Any:
        def create(events: list[Any], **metadata: Any) -> Any:
            docs = {event.document for event in events}
            if len(docs) != 1:
                return own(events, **metadata)  # which says what is wrong
            [doc] = docs
            serializer = Asking(doc)
            content = PatchJson(events=serializer.encode(events))
            doc.models.flush_synced(lambda model: not serializer.has_ref(model))
            message = patch_doc(patch_doc.create_header(), metadata, content)
            message.add_buffers(*serializer.buffers)
            return message

        return create

    counted = fits(DocumentModelManager, "recompute", ("self._models = recomputed", "self._new_models.add(ma)"))
    if counted and fits(DocumentModelManager, "flush_synced", ("self._new_models = set(",)):
        replace(patch_doc, "create", short, NEEDS)
