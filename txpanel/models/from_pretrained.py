"""From a checked folder to transformers objects: no network, no code from the model's repository, no pickles, no randomly filled weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from txpanel.compat.adapter_beside import without_adapter
from txpanel.errors import BadFile, TxpanelError, Unsupported
from txpanel.messages import _
from txpanel.models.sources import adapter_folder
from txpanel.models.sources import folder as local
from txpanel.models.weight_gaps import refuse_gaps


def open_folder(
    folder: Path, device: str = "cpu", dtype: Any = None, *, adapter: Path | None = None
) -> tuple[Any, Any]:
    """Load model and tokenizer from a folder of safetensors.

    Args:
        folder: what `txpanel.models.sources.folder.check` lets pass.
        device: a torch device name.
        dtype: torch dtype or its name; ``None`` is float32.
        adapter: folder of an adapter that is put on the model; an adapter that lies beside the model is not, unless it is named here.

    Returns:
        (model in eval mode, fast tokenizer).

    Raises:
        BadFile, Unsupported: in words.
    """
    local.check(folder)
    place, kind = device_of(device), dtype_of(dtype)
    model = _model(folder, place, kind)
    return model if adapter is None else adapter_folder.put_on(model, adapter), _tokenizer(folder)


def device_of(name: str) -> Any:
    """The torch device of that name, if this machine has it."""
    import torch  # late: torch and transformers take seconds

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise Unsupported(_("“{name}” is not a device. Use cpu, cuda or mps.").format(name=name)) from error
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not found.get(device.type, False):
        raise Unsupported(_("This machine has no device “{name}” that PyTorch can use. Use cpu.").format(name=name))
    return device


def dtype_of(name: Any) -> Any:
    """The torch dtype of that name (``"float32"``, ``"bfloat16"``, ...); ``None`` is float32."""
    import torch  # late: torch and transformers take seconds

    if name is None:
        return torch.float32
    kind = getattr(torch, name, None) if isinstance(name, str) else name
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise Unsupported(_("“{name}” is not a type of weights. Use float32, bfloat16 or float16.").format(name=name))
    return kind


def _model(folder: Path, device: Any, dtype: Any) -> Any:
    import transformers  # late: torch and transformers take seconds

    content = local.config(folder)
    pair = local.pair_loader(content["model_type"]) if content.get("is_encoder_decoder") else None
    opener: Any = transformers.AutoModelForMaskedLM if _fills_gaps(folder) else transformers.AutoModelForCausalLM
    opener = opener if pair is None else getattr(transformers, pair)
    with _quiet(), without_adapter(folder) as alone:
        try:
            model, info = opener.from_pretrained(
                alone,
                dtype=dtype,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported by name below, not as a table in a log
            )
            refuse_gaps(folder, info, model)
            return model.to(device).eval()
        except (TxpanelError, MemoryError):
            raise
        except Exception as error:  # transformers, safetensors and torch raise anything for a damaged folder
            raise _explain(folder, error) from error


def _fills_gaps(folder: Path) -> bool:
    """Whether a model was trained to fill gaps, as BERT was: it would load as a causal model as well, and say nothing of use."""
    content = local.config(folder)
    architectures = [str(name) for name in content.get("architectures") or []]
    if architectures == ["ElectraForPreTraining"]:
        raise Unsupported(
            _(
                "{folder} is the discriminator of ELECTRA: it detects replaced tokens and predicts none. Open its "
                "generator."
            ).format(folder=folder)
        )
    masked = bool(architectures) and all("MaskedLM" in name or "PreTraining" in name for name in architectures)
    return masked and not content.get("is_decoder")


def _explain(folder: Path, error: Exception) -> TxpanelError:
    reason = str(error).strip().split("\n")[0][:300] or type(error).__name__
    if isinstance(error, ImportError) or "Unrecognized configuration class" in reason:
        return Unsupported(
            _("{folder} cannot be opened as a text model: {reason}").format(folder=folder, reason=reason)
        )
    if "out of memory" in reason.lower() or "can't allocate" in reason:
        return Unsupported(_("There is not enough memory for {folder}. Choose a smaller model.").format(folder=folder))
    return BadFile(_("{folder} could not be loaded: {reason}").format(folder=folder, reason=reason))


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer  # late: torch and transformers take seconds

    with _quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # tokenizers raise bare exceptions
            reason = str(error).strip().split("\n")[0][:300]
            raise BadFile(
                _("The tokenizer of {folder} cannot be read: {reason}").format(folder=folder, reason=reason)
            ) from error
    if not getattr(tokenizer, "is_fast", False) and not _tells_pieces(tokenizer):
        raise Unsupported(
            _("{folder} has only a slow tokenizer, which does not say which characters a token stands for.").format(
                folder=folder
            )
        )
    return tokenizer


def _tells_pieces(tokenizer: Any) -> bool:
    """Whether the pieces of a slow tokenizer join to a text."""
    from txpanel.models.tokens import read_tokens  # late: it needs numpy

    text = "a text"
    try:
        ids = [int(token) for token in tokenizer(text)["input_ids"]]
        return bool(ids) and read_tokens(tokenizer, ids, text).exact
    except Exception:  # it was written in Python: anything
        return False


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of transformers on the terminal; txpanel shows its own. The setting is put back."""
    from transformers import utils  # late: torch and transformers take seconds

    logging: Any = utils.logging
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
