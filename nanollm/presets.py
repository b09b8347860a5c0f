"""The settings of a training, and a few named sets of them.

A preset is a starting point: on the command line every setting can be given anew, so that
`train --preset nanogpt-cpu --depth 6` is the same training with six blocks.
"""

import math
from dataclasses import asdict, dataclass, field, fields, replace

from nanollm.errors import InputError
from nanollm.models.gpt import GPTConfig
from nanollm.text import KINDS


LARGEST = 2 ** 31 - 1           # of the settings that are whole numbers


def setting(default, words):
    """A field of Settings; `words` are its line of --help."""
    return field(default=default, metadata={"help": words})


@dataclass(frozen=True)
class Settings:
    """All that decides a training. Raises InputError where a value makes no sense."""

    data: str = setting("pydoc", "what to learn from: a name from `data list`, or a text file")
    tokenizer: str = setting("characters", "what a token is: 'characters' or 'byte pairs'")
    vocab: int = setting(512, "tokens in the vocabulary of byte pairs (characters are counted)")
    holdout: float = setting(0.1, "share of the text, its end, that is kept for validation")

    context: int = setting(128, "tokens the model can look back on")
    width: int = setting(128, "numbers that describe a token")
    heads: int = setting(4, "attention heads; they divide the width")
    depth: int = setting(4, "blocks")
    bias: bool = setting(False, "biases in linear layers and layernorms")
    tied: bool = setting(True, "one matrix for embedding and output")
    dropout: float = setting(0.0, "share of numbers left out at random in training")

    steps: int = setting(1000, "optimizer steps")
    batch: int = setting(16, "sequences in a batch")
    accumulate: int = setting(1, "batches whose gradients are averaged for one step")
    lr: float = setting(1e-3, "highest learning rate")
    min_lr: float = setting(1e-4, "learning rate at the end")
    warmup: int = setting(100, "steps until the highest learning rate")
    beta1: float = setting(0.9, "AdamW: memory of the gradient's mean")
    beta2: float = setting(0.99, "AdamW: memory of the gradient's square")
    decay: float = setting(0.1, "AdamW: weight decay, of matrices only")
    clip: float = setting(1.0, "largest norm of the whole gradient; 0: any")

    evaluate: int = setting(250, "steps between two looks at the validation loss")
    save: int = setting(250, "steps between two checkpoints")
    seed: int = setting(0, "the same seed gives the same training")
    shares: int = setting(0, "parts of a batch that run side by side; 0: one for each core")

    def __post_init__(self):
        for f in fields(self):
            object.__setattr__(self, f.name, typed(f.name, f.type, getattr(self, f.name)))
        if self.tokenizer not in KINDS:
            raise InputError(f"tokenizer is {self.tokenizer!r}, expected one of "
                             f"{', '.join(map(repr, KINDS))}")
        for lowest, names in ((1, "steps batch accumulate evaluate save"),
                              (0, "warmup seed shares lr min_lr decay clip")):
            for name in names.split():
                if getattr(self, name) < lowest:
                    raise InputError(f"{name} is {getattr(self, name)}, expected at least {lowest}")
        for f in fields(self):
            if f.type is int and f.name != "seed" and getattr(self, f.name) > LARGEST:
                raise InputError(f"{f.name} is {getattr(self, f.name)}, expected at most {LARGEST}")
        if 12 * self.depth * self.width ** 2 > 2 ** 40:
            raise InputError(f"a model of width {self.width} and depth {self.depth} is too large")
        for name in "beta1", "beta2":
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected 0 or more, below 1")
        if not 0 < self.holdout < 1:
            raise InputError(f"holdout is {self.holdout}, expected a share between 0 and 1")
        self.model(self.vocab)                          # its own checks, before any data is read

    def model(self, vocab):
        """The GPTConfig for a vocabulary of `vocab` tokens."""
        return GPTConfig(vocab=vocab, context=self.context, width=self.width, heads=self.heads,
                         depth=self.depth, bias=self.bias, tied=self.tied, dropout=self.dropout)

    def to_json(self):
        return asdict(self)

    @classmethod
    def from_json(cls, values):
        """Settings from what to_json gave. Raises InputError for a name it does not know."""
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise InputError(f"there is no setting {min(unknown)!r}")
        return cls(**values)


def typed(name, kind, value):
    """`value` as the setting's type; InputError if it is another, or no finite number."""
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        raise InputError(f"{name} is {value!r}, expected {wanted[kind]}")
    return value


PRESETS = {
    # The demo: English prose in two minutes on two cores, without a network.
    "quick": Settings(tokenizer="byte pairs", vocab=1024, context=64, width=160, heads=5, depth=3,
                      dropout=0.1, batch=32, lr=2e-3, evaluate=100),
    # karpathy/nanoGPT's setting for a laptop; its published validation loss is 1.88. (Of four seeds
    # the untied head reached 1.862 to 1.879; tied, one seed, 1.905.)
    "nanogpt-cpu": Settings(data="tinyshakespeare", context=64, batch=12, steps=2000, tied=False,
                            seed=1337),
    # karpathy/nanoGPT's setting for a graphics card; its published best validation loss is 1.4697.
    "nanogpt-gpu": Settings(data="tinyshakespeare", context=256, width=384, heads=6, depth=6,
                            dropout=0.2, batch=64, steps=5000, seed=1337),
}

# Models to look at (`info`) and to time (`bench`).
MODELS = {
    "quick": PRESETS["quick"].model(1024),
    "nanogpt-cpu": PRESETS["nanogpt-cpu"].model(65),
    "nanogpt-gpu": replace(PRESETS["nanogpt-gpu"].model(65), dropout=0.0),
    "gpt2": GPTConfig(vocab=50257, context=1024, width=768, heads=12, depth=12),
}


def preset(name):
    """The preset of this name. Raises InputError where there is none."""
    if name not in PRESETS:
        raise InputError(f"no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
