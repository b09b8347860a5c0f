"""generate: a trained model goes on writing where a prompt ends."""

import sys
import time

from nanollm.cli.options import add_backend, choose_backend

EXAMPLES = """examples:
  python -m nanollm generate --prompt "The"                 the newest run goes on with "The"
  python -m nanollm generate runs/quick --seed 1            another text from the same model
  python -m nanollm generate --temperature 0                always the likeliest token
  python -m nanollm generate --prompt "A" --stop "."        one sentence

The prompt may hold only what the tokenizer has seen; without one the text starts on a new line.
"""


def add(commands):
    parser = commands.add_parser(
        "generate", help="let a trained model write", epilog=EXAMPLES,
        description="Let a trained model write, token by token, on from a prompt.")
    parser.add_argument("folder", nargs="?", metavar="RUN",
                        help="the folder of a run (default: the one in runs/ that was saved last)")
    parser.add_argument("--prompt", default="", metavar="TEXT", help="how the text begins")
    parser.add_argument("--tokens", type=int, default=300, metavar="N",
                        help="tokens to write [300]")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="X",
                        help="0: always the likeliest token; 1: as it has learned; more: bolder "
                        "[0.8]")
    parser.add_argument("--top-k", type=int, default=0, metavar="N",
                        help="only the N likeliest tokens; 0: all [0]")
    parser.add_argument("--top-p", type=float, default=0.95, metavar="X",
                        help="only the likeliest tokens that together have probability X [0.95]")
    parser.add_argument("--penalty", type=float, default=1.0, metavar="X",
                        help="above 1: tokens that occurred are less likely [1]")
    parser.add_argument("--seed", type=int, default=0, metavar="N",
                        help="the same seed gives the same text [0]")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT",
                        help="end where this text appears (may be given several times)")
    parser.add_argument("--no-cache", action="store_true",
                        help="compute every token's keys and values anew: the same text, slower")
    add_backend(parser)
    parser.add_argument("--quiet", action="store_true", help="print the text alone")
    parser.set_defaults(run=run)


def run(args):
    from nanollm import generate, runs
    choose_backend(args)
    tokenizer, model = runs.trained(runs.newest() if args.folder is None else args.folder)
    pieces = generate.generate(
        model, tokenizer, args.prompt, tokens=args.tokens, seed=args.seed, stop=args.stop,
        cached=not args.no_cache, temperature=args.temperature, top_k=args.top_k,
        top_p=args.top_p, penalty=args.penalty)
    print(args.prompt, end="", flush=True)
    began, written = time.perf_counter(), 0
    for piece in pieces:
        print(piece, end="", flush=True)
        written += len(piece)
    print(flush=True)
    if not args.quiet:
        seconds = time.perf_counter() - began
        print(f"({written:,} characters in {seconds:.1f} s)", file=sys.stderr)
