"""bench: how fast is it here? Every number beside the floor that the hardware sets."""

from nanollm import backend
from nanollm.cli.options import add_backend, choose_backend, table

WORDS = {
    "all": "All of the below.",
    "ops": "Each op at the sizes of a training step, Numba against NumPy, forward and backward.",
    "train": "A whole training step: forward, backward, clipping, AdamW. Beside it its floor, the "
             "same\nmatrix products alone in BLAS: a step cannot be faster.",
    "generate": "Writing with a key-value cache, token by token. Beside it its floor, the time to "
                "read all\nweights once: a token cannot be faster.",
}
SETTINGS = """settings (vocabulary, context, layers, heads, width; batch), tied heads:
  1  65, 64, 4, 4, 128; 12         nanoGPT's model for a laptop
  2  65, 256, 6, 6, 384; 16        nanoGPT's model for a graphics card
  3  50257, 64, 12, 12, 768; 4     GPT-2, with a short context
  4  50257, 1024, 12, 12, 768; 8   GPT-2
With --backend cuda: times by the GPU's clock, beside the card's measured ceilings and, where it is
installed, PyTorch.
"""


def add(commands):
    parser = commands.add_parser("bench", help="how fast is it on this machine?",
                                 description="How fast is it on this machine?",
                                 epilog="example:\n  python -m nanollm bench train --setting 1 3")
    parts = parser.add_subparsers(metavar="all|ops|train|generate", required=True)
    for name, words in WORDS.items():
        part = parts.add_parser(name, help=summary(words), description=words,
                                epilog=SETTINGS)
        part.add_argument("--setting", type=int, nargs="+", choices=(1, 2, 3, 4), metavar="N",
                          help="sizes, see below [1; with --backend cuda 4]")
        part.add_argument("--json", metavar="FILE", help="write the numbers there, too")
        part.add_argument("--preset", metavar="NAME", help="the sizes of a preset instead")
        add_backend(part)
        part.set_defaults(run=run, parts=[name] if name != "all" else ["ops", "train", "generate"])


def summary(words):
    """The first words, as other commands' help has them."""
    return words[0].lower() + words[1:].split(":")[0].split(",")[0].rstrip(".")


def run(args):
    from nanollm.cli import timing
    choose_backend(args)
    wanted, result = sizes(args), {"machine": timing.machine(), "tables": {}}
    if backend.current() == "cuda":
        from nanollm.cli import bench_cuda
        result["machine"] |= bench_cuda.card()
        tables = bench_cuda.tables(args.parts, wanted)
    else:
        tables = ((part, module(part).rows(wanted)) for part in args.parts)
    if args.json:
        save(args.json, result)                                 # if it cannot be, say so now
    print(", ".join(f"{key} {value}" for key, value in result["machine"].items()), flush=True)
    for title, rows in tables:
        print(f"\n{title}\n{table([row.values() for row in rows], rows[0])}", flush=True)
        result["tables"][title] = rows
        if args.json:
            save(args.json, result)


def module(part):
    """The module that measures a part on a CPU."""
    from nanollm.cli import bench_generate, bench_ops, bench_train
    return {"ops": bench_ops, "train": bench_train, "generate": bench_generate}[part]


def save(path, content):
    """Write the numbers as JSON."""
    from nanollm.errors import InputError
    from nanollm.files import write_json
    try:
        write_json(path, content)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror})") from None


def sizes(args):
    """[(label, GPTConfig, batch)] that --setting or --preset asks for."""
    from dataclasses import replace

    from nanollm.presets import MODELS, preset
    if args.preset:
        batch = preset(args.preset).batch
        return [(args.preset, MODELS[args.preset], batch)]
    known = {1: (replace(MODELS["nanogpt-cpu"], tied=True), 12), 2: (MODELS["nanogpt-gpu"], 16),
             3: (replace(MODELS["gpt2"], context=64), 4), 4: (MODELS["gpt2"], 8)}
    chosen = args.setting or [4 if backend.current() == "cuda" else 1]
    return [(str(n), *known[n]) for n in chosen]
