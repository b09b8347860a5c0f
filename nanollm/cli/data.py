"""data: what data sets there are, where each is from, and how to have it here."""

from nanollm.cli.options import table


def add(commands):
    parser = commands.add_parser(
        "data", help="data sets: list them, look at one, download one",
        description="Data sets: list them, look at one, download one.\n\n"
        "Looked for in the folder $NANOLLM_DATA, then in data/cache, then downloaded and checked.\n"
        "pydoc is part of Python and needs no network. Any text file can be used as well.",
        epilog="example:\n  python -m nanollm data get tinyshakespeare")
    parts = parser.add_subparsers(metavar="list|info|get", required=True)
    parts.add_parser("list", help="all data sets").set_defaults(run=run_list)
    for name, run, words in (("info", run_info, "all that is known of one data set"),
                             ("get", run_get, "download one, if it is not here yet")):
        part = parts.add_parser(name, help=words, description=words)
        part.add_argument("name", metavar="NAME", help="a name from `data list`")
        part.set_defaults(run=run)
    parts.choices["get"].add_argument("--quiet", action="store_true", help="no progress bar")


def run_list(args):
    from nanollm import datasets
    print(table([row.values() for row in datasets.rows()], ["name", "bytes", "where", "what"]))


def run_info(args):
    from nanollm import datasets
    for key, value in datasets.details(args.name).items():
        if value == "":                                 # an embedded text has no url and no path
            continue
        print(f"{key:8} {value:,} bytes" if isinstance(value, int) else f"{key:8} {value}".rstrip())


def run_get(args):
    from nanollm import datasets
    if args.name in datasets.REGISTRY and not datasets.REGISTRY[args.name].file:
        print(f"{args.name} comes with Python: there is nothing to download")
        return
    print(datasets.get(args.name, quiet=args.quiet))
