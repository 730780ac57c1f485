"""Many figures of one kind: what a Bokeh figure consists of is read once, and each further one is put together from that.

``Model.clone`` of Bokeh copies one model and shares all that hangs on it; making a figure again from what Bokeh sends of it takes 30 ms of a busy
server, nearly all of it for looking up defaults and for proving values that were proven when the first figure was made.

Versions: Bokeh 3.9 to 3.10.
Reason: 30 ms of the server for each picture of a view, of which some have eight.
Upstream: bokeh/bokeh, bokeh/core/has_props.py, `HasProps.clone`: a deep copy.
Test: tests/compat/test_stamp.py::test_bokeh_still_copies_one_model_only
"""

from __future__ import annotations

from typing import Any

from bokeh.core.has_props import HasProps
from bokeh.core.property.descriptors import PropertyDescriptor
from bokeh.model import Model

from txpanel.compat.replacing import fits

__all__ = ["Stamp"]


class Stamp:
    """Makes figures like `original`, each with models of its own.

    Constructors are not called, as Bokeh does not call them for models that it receives: a figure's would add axes and tools a second time.
    Python's own callbacks are left behind; arrays are shared.
    """

    def __init__(self, original: Model) -> None:
        models = [original, *(original.references() - {original})]
        self._place = {model: i for i, model in enumerate(models)}
        self._plan = [
            (type(model), [(model.lookup(name), value) for name, value in _set(model).items()]) for model in models
        ]
        self._as_known = fits(
            PropertyDescriptor, "_set_value", ("_register_owner(obj", "obj._property_values[self.name] = value")
        )

    def __call__(self) -> Any:
        """Another one."""
        made: list[Any] = [Model.__new__(kind) for kind, _values in self._plan]
        for model in made:
            _begin(model) if self._as_known else HasProps.__init__(model)
        for model, (_kind, values) in zip(made, self._plan, strict=True):
            for descriptor, value in values:
                own = self._own(value, made)
                if self._as_known:
                    descriptor._set_value(model, descriptor.property.wrap(own))
                else:
                    model.set_from_json(descriptor.name, own)
        return made[0]

    def _own(self, value: Any, made: list[Any]) -> Any:
        """The same with the new models in it; containers belong to one model each."""
        if isinstance(value, Model):
            return made[self._place[value]]
        if isinstance(value, dict):
            return {self._own(key, made): self._own(one, made) for key, one in value.items()}
        kind = next((kind for kind in (list, tuple, set) if isinstance(value, kind)), None)
        return value if kind is None else kind(self._own(one, made) for one in value)


def _set(model: Model) -> dict[str, Any]:
    """What of a model is sent to a page."""
    return model.query_properties_with_values(lambda one: bool(one.serialized), include_defaults=False)


def _begin(model: Any) -> None:
    """What `HasProps.__init__` does, but for the defaults: those that Bokeh would make are set anyway."""
    super(HasProps, model).__init__()
    model._property_values, model._unstable_default_values, model._unstable_themed_values = {}, {}, {}
    model._initialized = True
