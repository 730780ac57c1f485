"""The lens against the model's own modules, called by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from txpanel_logit_lens import lens

TEXT = "CBABBC="


def by_hand(model: Any, text: str, position: int) -> np.ndarray:
    """[blocks + 1, V] probabilities from HF's own hidden states, final norm and head."""
    ids = torch.tensor([model.encode(text)])
    with torch.inference_mode():
        out = model.model(ids, output_hidden_states=True)
        norm, head = model.model.transformer.ln_f, model.model.lm_head
        streams = [
            head(norm(h[0, position])) for h in out.hidden_states[:-1]
        ]  # hidden_states[-1] is after the norm already
        streams.append(out.logits[0, position])
    return torch.stack(streams).double().softmax(-1).numpy()


@pytest.mark.parametrize("position", [0, 3, -1])
def test_every_row_is_what_the_model_s_own_modules_say(model: Any, position: int) -> None:
    trace = model.trace(TEXT)
    found = lens(trace, position, top=4)
    expected = by_hand(model, TEXT, position)
    np.testing.assert_allclose(found.probabilities, np.take_along_axis(expected, found.ids, 1), atol=1e-6)
    assert (found.ids[:, 0] == expected.argmax(1)).all()
    winner = expected[-1].argmax()
    np.testing.assert_allclose(found.final, expected[:, winner], atol=1e-6)
    np.testing.assert_allclose(found.entropy, -(expected * np.log2(expected)).sum(1), atol=1e-5)
    assert found.rank[-1] == 0


def test_rows_are_sorted_and_the_last_one_is_the_prediction(model: Any) -> None:
    trace = model.trace(TEXT)
    found = lens(trace)
    assert found.ids.shape == (trace.anatomy.n_layers + 1, 5)
    assert (np.diff(found.probabilities, axis=1) <= 0).all()
    assert found.ids[-1, 0] == int(np.argmax(trace.logits.values))


def test_a_position_that_does_not_exist(model: Any) -> None:
    with pytest.raises(IndexError):
        lens(model.trace(TEXT), 999)
