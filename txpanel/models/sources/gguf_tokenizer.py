"""The tokenizer of a GGUF file: it gives the same ids as the original one, or the file is refused.

A file states its vocabulary and, by a name (``tokenizer.ggml.pre``), how text is split into words before merges are applied. Another way of splitting
silently gives other ids, so an unknown name is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from txpanel.errors import BadFile, Unsupported
from txpanel.messages import _
from txpanel.models.sources.gguf_content import Content

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KEY = "tokenizer.ggml."
UNKNOWN, CONTROL, DEFINED = 2, 3, 4
"""Kinds of tokens (``tokenizer.ggml.token_type``)."""
CUTS = {
    "gpt2": ("gpt-2", "gpt2"),
    "digits": ("smollm", "starcoder", "refact", "codeshell"),
    "llama3": ("llama-bpe", "llama3", "llama-v3", "dbrx", "smaug-bpe"),
    "qwen2": ("qwen2",),
    "tekken": ("tekken",),
    "gpt-4o": ("gpt-4o",),
}
"""Names of `tokenizer.ggml.pre` by the way of splitting that they stand for."""
WHOLE_FIRST = ("llama-bpe", "llama3", "llama-v3", "tekken")
"""Those in which a word that is in the vocabulary is one token, whatever the merges say."""
BEGINS = ("llama-bpe", "llama3", "llama-v3", "tekken")
"""Those in which a text begins with the start token unless the file says otherwise."""


def tokenizer(content: Content) -> PreTrainedTokenizerBase:
    """The file's tokenizer.

    Raises:
        Unsupported: of a kind that is not known here. BadFile: its vocabulary is damaged.
    """
    kind = content.get(f"{KEY}model")
    made = {"gpt2": _byte_level, "llama": _sentencepiece}.get(str(kind))
    if made is None:
        text = _("{path} has a tokenizer of the kind “{kind}”. Kinds that are read: gpt2, llama.")
        raise Unsupported(text.format(path=content.path, kind=kind))
    entries = content.get(f"{KEY}tokens")
    if not isinstance(entries, list) or len(set(entries)) != len(entries):
        raise BadFile(_("{path}: its vocabulary is missing, or has an entry twice.").format(path=content.path))
    kinds = content.get(f"{KEY}token_type", [])
    if kinds and len(kinds) != len(entries):  # else special tokens would be read as text
        text = _("{path} is damaged: its vocabulary has {n} tokens, and says of {kinds} what kind they are.")
        raise BadFile(text.format(path=content.path, n=len(entries), kinds=len(kinds)))
    return made(content, [str(entry) for entry in entries])


def _cut(content: Content) -> str:
    """The file's way of splitting text, a key of `CUTS`."""
    name = content.get(f"{KEY}pre")
    if name in (None, "default") and content.architecture == "gpt2":
        return "gpt2"
    found = next((cut for cut, names in CUTS.items() if name in names), None)
    if found is None:
        known = ", ".join(name for names in CUTS.values() for name in names)
        text = (
            _(
                "{path} does not say how its tokenizer splits text (tokenizer.ggml.pre); files made since May 2024 do. "
                "Convert the model again."
            )
            if name is None
            else _(
                "{path}: txpanel does not know the way in which its tokenizer splits text (“{name}”), and another way "
                "would give other tokens. Known: {known}."
            )
        )
        raise Unsupported(text.format(path=content.path, name=name, known=known))
    return found


def _steps(content: Content, cut: str) -> tuple[Any, Any]:
    """Pre-tokenizer and normalizer of a way of splitting."""
    from tokenizers import Regex, normalizers, pre_tokenizers  # late: only the process that converts needs them

    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if cut == "gpt2":
        return words, None
    if cut == "digits":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words]), None
    pattern = _pattern(cut)
    if pattern is None:
        text = _("{path}: the installed transformers does not say how “{name}” splits text. A newer one does.")
        raise Unsupported(text.format(path=content.path, name=cut))
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    return pre_tokenizers.Sequence([split, bytes_only]), normalizers.NFC() if cut == "qwen2" else None


def _pattern(cut: str) -> str | None:
    """The regular expression of a family's own tokenizer, as transformers has it."""
    from transformers.convert_slow_tokenizer import TikTokenConverter  # late: only the process that converts needs it
    from transformers.models.qwen2 import tokenization_qwen2

    if cut == "qwen2":
        return getattr(tokenization_qwen2, "PRETOKENIZE_REGEX", None)
    if cut == "llama3":
        converter: Any = TikTokenConverter
        return str(converter().pattern)
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import (
            GGUF_PRE_TOKENIZER_SPLITS,  # late: only in newer versions
        )
    except ImportError:  # transformers before 5.23
        return None
    found = GGUF_PRE_TOKENIZER_SPLITS.get(cut)
    return None if found is None else str(found)


def _byte_level(content: Content, entries: list[str]) -> PreTrainedTokenizerBase:
    from tokenizers import Tokenizer, decoders, models  # late: only the process that converts needs them

    cut, name = _cut(content), content.get(f"{KEY}pre")
    stated = content.get(f"{KEY}merges")
    if stated is None:  # without them every text would be split into single bytes
        text = _("{path}: the merges of its tokenizer are missing. Download or convert it again.")
        raise BadFile(text.format(path=content.path))
    merges: Any = [tuple(str(merge).split(" ")) for merge in stated]
    vocabulary = {entry: n for n, entry in enumerate(entries)}
    if any(len(merge) != 2 or not {*merge, "".join(merge)} <= vocabulary.keys() for merge in merges):
        raise BadFile(_("{path}: a merge of its tokenizer is damaged.").format(path=content.path))
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=name in WHOLE_FIRST))
    backend.pre_tokenizer, normalizer = _steps(content, cut)
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.decoder = decoders.ByteLevel()
    return _finished(content, entries, backend, begins=name in BEGINS)


def _finished(content: Content, entries: list[str], backend: Any, *, begins: bool) -> PreTrainedTokenizerBase:
    """The tokenizer with its added tokens, the special tokens around a text, and the chat template."""
    from tokenizers import AddedToken, processors  # late: only the process that converts needs them
    from transformers import PreTrainedTokenizerFast

    kinds = content.get(f"{KEY}token_type", [])
    marks = [
        AddedToken(entry, special=kind == CONTROL, normalized=False)
        for entry, kind in zip(entries, kinds, strict=False)
        if kind in (CONTROL, DEFINED)
    ]
    backend.add_special_tokens([mark for mark in marks if mark.special])
    backend.add_tokens([mark for mark in marks if not mark.special])
    named = {
        name: _named(content, entries, key)
        for name, key in (
            ("bos_token", "bos"),
            ("eos_token", "eos"),
            ("unk_token", "unknown"),
            ("pad_token", "padding"),
        )
    }
    around = [
        content.get(f"{KEY}add_bos_token", begins) and named["bos_token"],
        content.get(f"{KEY}add_eos_token", False) and named["eos_token"],
    ]
    if any(around):
        single = " ".join(filter(None, (around[0], "$A", around[1])))
        backend.post_processor = processors.TemplateProcessing(
            single=single, special_tokens=[(mark, entries.index(mark)) for mark in dict.fromkeys(around) if mark]
        )
    kind: Any = PreTrainedTokenizerFast
    made = kind(
        tokenizer_object=backend,
        clean_up_tokenization_spaces=False,
        **{k: v for k, v in named.items() if v is not None},
    )
    template = content.get("tokenizer.chat_template")
    if template is not None:
        made.chat_template = str(template)
    return cast("PreTrainedTokenizerBase", made)


def _named(content: Content, entries: list[str], key: str) -> str | None:
    number = content.get(f"{KEY}{key}_token_id")
    if number is None:
        return None
    if not 0 <= int(number) < len(entries):
        raise BadFile(_("{path}: its vocabulary has no entry {id}.").format(path=content.path, id=number))
    return entries[int(number)]


def _sentencepiece(content: Content, entries: list[str]) -> PreTrainedTokenizerBase:
    """SentencePiece's BPE: the pair whose joined piece has the best score is joined first; bytes stand for what has no piece (Kudo and Richardson 2018)."""
    from tokenizers import Tokenizer, decoders, models, normalizers  # late: only the process that converts needs them

    gemma = content.architecture.startswith("gemma")
    if gemma:  # runs of blanks are stored as blanks, and pieces in the order of their merges
        entries = ["▁" * len(entry) if entry and not entry.strip(" ") else entry for entry in entries]
    scores = content.get(f"{KEY}scores")
    if content.get(f"{KEY}precompiled_charsmap") is not None or content.get(f"{KEY}remove_extra_whitespaces"):
        raise Unsupported(
            _("{path}: its tokenizer changes text before it splits it, which txpanel does not support.").format(
                path=content.path
            )
        )
    if not isinstance(scores, list) or len(scores) != len(entries):
        raise BadFile(_("{path}: the scores of its vocabulary are missing.").format(path=content.path))
    prefix = bool(content.get(f"{KEY}add_space_prefix", not gemma))
    ranks = [-float(n) for n in range(len(entries))] if gemma else [float(score) for score in scores]
    unknown = _named(content, entries, "unknown") or next(
        (entry for entry, kind in zip(entries, content.get(f"{KEY}token_type", []), strict=False) if kind == UNKNOWN),
        None,
    )
    vocabulary = {entry: n for n, entry in enumerate(entries)}
    backend = Tokenizer(
        models.BPE(
            vocab=vocabulary, merges=_merges(vocabulary, ranks), unk_token=unknown, fuse_unk=True, byte_fallback=True
        )
    )
    blank = normalizers.Replace(" ", "▁")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), blank]) if prefix else blank
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    return _finished(content, entries, backend, begins=True)


def _merges(vocabulary: dict[str, int], ranks: list[float]) -> list[tuple[str, str]]:
    """Every pair of pieces that joins to a piece, best first."""
    found = []
    for entry, number in vocabulary.items():
        for cut in range(1, len(entry)):
            left, right = vocabulary.get(entry[:cut]), vocabulary.get(entry[cut:])
            if left is not None and right is not None:
                found.append((-ranks[number], number, left, right, (entry[:cut], entry[cut:])))
    return [pair for *_order, pair in sorted(found)]
