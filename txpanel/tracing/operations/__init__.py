"""The operations a transformer is made of: each says how its output follows from its inputs, and what one cell adds up from."""

from txpanel.tracing.operations.adapted import DoraGain
from txpanel.tracing.operations.attention import (
    Bias,
    Distances,
    Join,
    Mask,
    Rotate,
    RowMax,
    RowSum,
    Scores,
    Softmax,
    WeightedSum,
)
from txpanel.tracing.operations.base import Operation, Source, Term
from txpanel.tracing.operations.elementwise import Activation, Add, ClampedGate, Clip, Gate, MaskDropped, SoftCap, Times
from txpanel.tracing.operations.experts import ExpertChoice, ExpertLinear, ExpertWeight, Mix, Switched
from txpanel.tracing.operations.linear import HeadOutput, HeadSum, Linear, Lookup
from txpanel.tracing.operations.measures import (
    Cosine,
    Entropy,
    ExpertWriteLength,
    Length,
    RowCosine,
    Surprisal,
    WriteLength,
)
from txpanel.tracing.operations.norm import Mean, Normalise, Scale, Variance
from txpanel.tracing.operations.opaque import Difference, Opaque
from txpanel.tracing.operations.placed import Placed
from txpanel.tracing.operations.shares import Bins, Others, Power, Shifted

__all__ = [
    "Activation", "Add", "Bias", "Bins", "ClampedGate", "Clip", "Cosine", "Difference", "Distances", "DoraGain", "Entropy", "ExpertChoice", "ExpertLinear",
    "ExpertWeight",
    "ExpertWriteLength", "Gate", "HeadOutput", "HeadSum", "Join", "Length", "Linear", "Lookup", "Mask", "MaskDropped", "Mean", "Mix", "Normalise",
    "Opaque", "Operation", "Others", "Placed", "Power", "Rotate", "RowCosine", "RowMax", "RowSum", "Scale", "Scores", "Shifted", "SoftCap", "Softmax", "Source",
    "Surprisal", "Switched", "Term", "Times", "Variance", "WeightedSum", "WriteLength",
]  # fmt: skip
