"""vanishing: how far back the gradient of an RNN, a GRU and an LSTM reaches, measured and drawn."""

from nanollm.cli.options import add_backend, choose_backend, table
from nanollm.errors import InputError

DISTANCES = 1, 10, 100, 1000, 10_000, 100_000


def add(commands):
    parser = commands.add_parser(
        "vanishing", help="how far back a recurrence's gradient reaches",
        description="How large the gradient is for a token so many steps back, that of the last "
        "token being 1:\nfor an RNN, a GRU and an LSTM at their first weights, for an RNN whose "
        "gradient explodes,\nand with the gates that keep the past held open.",
        epilog="example:\n  python -m nanollm vanishing --steps 1000 --draw vanishing.png")
    parser.add_argument("--steps", type=int, default=1000, metavar="N",
                        help="how far back to look [1000]")
    parser.add_argument("--draw", metavar="FILE", help="the curves, as a picture")
    parser.add_argument("--seed", type=int, default=0, metavar="N",
                        help="of the weights and the tokens [0]")
    add_backend(parser)
    parser.set_defaults(run=run, large=lambda args: ["--steps"])


def run(args):
    import numpy as np

    from nanollm import vanishing
    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}, expected 0 or more")
    choose_backend(args)
    curves = {name: vanishing.by_distance(layer, args.steps, np.random.default_rng([args.seed, 1]))
              for name, layer in vanishing.cells(np.random.default_rng([args.seed, 0])).items()}
    at = sorted({d for d in DISTANCES if d < args.steps} | {args.steps})
    print(table([(name, *(f"{r[d]:.1e}" for d in at)) for name, r in curves.items()],
                ["steps back", *(f"{d:,}" for d in at)]))
    if args.draw is not None:
        vanishing.draw(curves, args.draw)
