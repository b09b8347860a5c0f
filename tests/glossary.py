"""The glossary of the course, notebooks/glossary.md, in both directions.

    python tests/glossary.py        after a term was added or changed in its first table

The first table, English to Chinese, is written by hand, a row anywhere in it; this puts its rows in
order and makes the second table, Chinese to English, of them.
"""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "notebooks/glossary.md"
ENGLISH = "| English | 中文 | in one line |\n|---|---|---|\n"
CHINESE = "| 中文 | English |\n|---|---|\n"
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \|$", re.M)


def split(page):
    """(introduction, rows of the first table, what stands between the two tables)."""
    before, _, rest = page.partition(ENGLISH)
    table, blank, rest = rest.partition("\n\n")
    return before, ROW.findall(table), blank + rest.partition(CHINESE)[0]


def whole(page):
    """The page as it should be."""
    before, rows, between = split(page)
    rows = sorted(rows, key=lambda row: row[0].lower())
    back = sorted({(chinese, english) for english, chinese, _ in rows},
                  key=lambda row: row[0].encode("gb18030"))     # most characters: by their pinyin
    return (before + ENGLISH + "".join(f"| {' | '.join(row)} |\n" for row in rows).rstrip("\n")
            + between + CHINESE + "".join(f"| {' | '.join(row)} |\n" for row in back))


if __name__ == "__main__":
    PAGE.write_text(whole(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
