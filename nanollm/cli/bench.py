"""bench: how fast is it here? Every number beside the floor that the hardware sets."""

from nanollm.cli.options import add_backend, choose_backend, table

WORDS = {
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
"""


def add(commands):
    parser = commands.add_parser("bench", help="how fast is it on this machine?",
                                 description="How fast is it on this machine?",
                                 epilog="example:\n  python -m nanollm bench train --setting 1 3")
    parts = parser.add_subparsers(metavar="ops|train|generate", required=True)
    for name, words in WORDS.items():
        part = parts.add_parser(name, help=words.split(":")[0].split(",")[0], description=words,
                                epilog=SETTINGS)
        part.add_argument("--setting", type=int, nargs="+", choices=(1, 2, 3), default=[1],
                          help="sizes, see below [1]", metavar="N")
        part.add_argument("--json", metavar="FILE", help="write the numbers there, too")
        part.add_argument("--preset", metavar="NAME", help="the sizes of a preset instead")
        if name == "ops":
            part.set_defaults(backend="numpy")                  # it compares, from there
        else:
            add_backend(part)
        part.set_defaults(run=run, part=name)


def run(args):
    from nanollm.cli import bench_generate, bench_ops, bench_train, timing
    part = {"ops": bench_ops, "train": bench_train, "generate": bench_generate}[args.part]
    wanted, result = sizes(args), {"bench": args.part, "machine": timing.machine()}
    choose_backend(args)
    if args.json:
        save(args.json, result)                                 # if it cannot be, say so now
    print(", ".join(f"{key} {value}" for key, value in result["machine"].items()) + "\n",
          flush=True)
    rows = part.rows(wanted)
    print(table([row.values() for row in rows], rows[0]))
    if args.json:
        save(args.json, {**result, "rows": rows})


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
             3: (replace(MODELS["gpt2"], context=64), 4)}
    return [(str(n), *known[n]) for n in args.setting]
