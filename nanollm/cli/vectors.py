"""vectors: learn a vector for each word of a text; ask which words are alike."""

import shlex
from dataclasses import fields

from nanollm.cli.options import add_backend, choose_backend, program, table

EXAMPLES = """examples:
  python -m nanollm vectors train --data tinystories --run runs/vectors
  python -m nanollm vectors near runs/vectors dog
  python -m nanollm vectors analogy runs/vectors man he woman    man is to he as woman is to ...

A run is a folder: vectors.safetensors, words.json, vectors.json.
"""


def add(commands):
    parser = commands.add_parser(
        "vectors", help="word vectors: train them, nearest words, analogies", epilog=EXAMPLES,
        description="Word vectors by skip-gram with negative sampling, or GloVe: train them, ask "
        "for the nearest\nwords, or for analogies.")
    parts = parser.add_subparsers(metavar="train|near|analogy", required=True)
    add_train(parts.add_parser("train", help="learn from a text", description="Learn a vector for "
                               "each word of a text. Ctrl-C ends early; what was learned is kept."))
    near = parts.add_parser("near", help="the words nearest to one",
                            description="The words with the largest cosine to one.")
    near.add_argument("folder", metavar="RUN", help="the folder of `vectors train`")
    near.add_argument("word", metavar="WORD")
    analogy = parts.add_parser("analogy", help="a is to b as c is to whom?",
                               description="A is to B as C is to whom? The words nearest to "
                               "B - A + C.")
    analogy.add_argument("folder", metavar="RUN", help="the folder of `vectors train`")
    for name in "a", "b", "c":
        analogy.add_argument(name, metavar=name.upper())
    for part, run in (near, run_near), (analogy, run_analogy):
        part.add_argument("--k", type=int, default=10, metavar="N", help="how many words [10]")
        part.set_defaults(run=run)


def add_train(part):
    from nanollm.word_vectors import Settings
    part.add_argument("--data", default="pydoc", metavar="NAME",
                      help="a data set (`data list`) or a UTF-8 file [pydoc]")
    part.add_argument("--run", dest="folder", metavar="FOLDER",
                      help="where to keep the vectors (default runs/vectors, runs/vectors-2 ...)")
    for f in fields(Settings):
        part.add_argument(f"--{f.name}", type=f.type, default=f.default,
                          metavar={int: "N", float: "X", str: "NAME"}[f.type],
                          help=f"{f.metadata['help']} [{f.default}]")
    add_backend(part)
    part.add_argument("--quiet", action="store_true", help="print nothing but errors")
    part.set_defaults(run=run_train, large=lambda args: ["--batch", "--width"])


def run_train(args):
    from nanollm import datasets, word_vectors
    from nanollm.runs import new_name
    from nanollm.text.words import SPECIAL
    settings = word_vectors.Settings(
        **{f.name: getattr(args, f.name) for f in fields(word_vectors.Settings)})
    folder = new_name("vectors") if args.folder is None else args.folder
    word_vectors.expect_free(folder)
    choose_backend(args)
    words, corpus = word_vectors.read(datasets.text(args.data, quiet=args.quiet), settings)
    if not args.quiet:
        print(f"{args.data}: {len(corpus.ids):,} words, {len(words.ids):,} distinct that occur "
              f"{settings.least} times", flush=True)
    vectors, losses, whole = word_vectors.train(words, corpus, settings, quiet=args.quiet)
    vectors.save(folder, data=args.data, **word_vectors.details(settings, losses, whole))
    if not args.quiet:
        print(table(enumerate(losses, 1), ["epoch", "mean loss"]))
        print(f"{'saved' if whole else 'stopped early; what was learned is'} in {folder}\n  "
              f"{program()} vectors near {shlex.quote(str(folder))} {words.words[len(SPECIAL)]}")
    return 0 if whole else 130


def run_near(args):
    from nanollm.word_vectors import Vectors
    show(Vectors.load(args.folder).neighbors(args.word, args.k))


def run_analogy(args):
    from nanollm.word_vectors import Vectors
    show(Vectors.load(args.folder).analogy(args.a, args.b, args.c, args.k))


def show(found):
    print(table([(word, round(cosine, 4)) for word, cosine in found], ["word", "cosine"]))
