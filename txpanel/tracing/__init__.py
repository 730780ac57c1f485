"""Recording a run, replaying its blocks, and saying why each number is what it is. Imports torch and transformers, never panel."""

from txpanel.tracing.explain import Check, Explanation
from txpanel.tracing.operations.base import Operation, Source, Term
from txpanel.tracing.record import extend, record
from txpanel.tracing.recording import BlockCheck
from txpanel.tracing.saving import open_trace
from txpanel.tracing.trace import Trace

__all__ = [
    "BlockCheck",
    "Check",
    "Explanation",
    "Operation",
    "Source",
    "Term",
    "Trace",
    "extend",
    "open_trace",
    "record",
]
