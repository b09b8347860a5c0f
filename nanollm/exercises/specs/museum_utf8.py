"""The museum: emoji that arrive as question marks."""

from nanollm.exercises.spec import Exercise, Wrong


def compare(student, pieces, want, likely=None):
    got = list(student.stream(list(pieces)))
    tried = f"pieces {pieces}"
    if got == want:
        return
    whole, right = "".join(got), "".join(want)
    if whole == right and len(got) != len(want):
        raise Wrong("the text is not shown piece by piece", tried=tried, got=str(got),
                    expected=str(want), likely="a text for each piece, and one more at the end")
    if whole == right:
        raise Wrong("a character is shown too late, or too early", tried=tried, got=str(got),
                    expected=str(want), likely="a character is shown once all its bytes are there; "
                                               "only an\nunfinished one is held back")
    if "\ufffd" in whole and "\ufffd" not in right:
        raise Wrong("a character is shown as question marks in boxes (U+FFFD)", tried=tried,
                    got=str(got), expected=str(want),
                    likely=likely or "where does one piece end and the next begin?")
    if len(whole) < len(right):
        raise Wrong("something of the text is lost", tried=tried, got=str(got), expected=str(want),
                    likely=likely or "what is unfinished at the end of a piece belongs to the "
                                     "next: keep it")
    raise Wrong("the text is wrong", tried=tried, got=str(got), expected=str(want),
                likely="bytes are UTF-8: one to four of them make a character")


def check_english(student):
    "a character for each byte"
    compare(student, [b"a ", b"cat", b"."], ["a ", "cat", ".", ""])


def check_emoji(student):
    "an emoji in two pieces, and in four"
    cat = "\U0001f638".encode()
    compare(student, [b"a", cat[:3], cat[3:], b"b"], ["a", "", "\U0001f638", "b", ""])
    compare(student, [cat[:1], cat[1:2], cat[2:3], cat[3:]], ["", "", "", "\U0001f638", ""])


def check_chinese(student):
    "a character that begins at the end of a piece"
    a, b = "你好".encode()[:4], "你好".encode()[4:]
    compare(student, [a, b + b"!"], ["你", "好!", ""])


def check_unfinished(student):
    "an answer that ends in the middle of a character"
    compare(student, [b"ab", "好".encode()[:2]], ["ab", "", "\ufffd"],
            "what is still held back at the end must be shown, as U+FFFD")


def check_garbage(student):
    "bytes that are no UTF-8"
    compare(student, [b"a\xff", b"b"], ["a\ufffd", "b", ""],
            "a byte that cannot begin a character is shown as U+FFFD, not left out")


EXERCISE = Exercise(
    name="museum_utf8", title="Emoji that arrive as question marks", group="museum",
    notebook="02_tokens", page="nanollm/exercises/pages/museum_utf8.py",
    broken=(("""\
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)
""", """\
    for piece in pieces:
        yield piece.decode("utf-8", "replace")
    yield ""
"""), ("import codecs\n\n\n", "\n")),
    checks=(check_english, check_emoji, check_chinese, check_unfinished, check_garbage),
    hints=(
        ("A character of Chinese has three bytes, an emoji four. Does a token always hold all of "
         "them?",
         "一个汉字有三个字节，一个 emoji 有四个。一个词元总能装下它的全部字节吗？"),
        ("Decode the two halves of \"é\".encode() one by one, and then together.",
         "把“好”的两半分别解码，再合起来解码。"),
        ("Hold an unfinished character back until the next piece: codecs.getincrementaldecoder("
         "\"utf-8\")(\"replace\") does so; decode(b\"\", final=True) gives what is left at the "
         "end.",
         "把没有完的字符留到下一片：codecs.getincrementaldecoder(\"utf-8\")(\"replace\") 就是这样做"
         "的；"
         "最后用 decode(b\"\", final=True) 取出剩下的。")),
    thread="https://github.com/antonellof/ferrox/issues/124",
    explanation="""\
Cause     Each token is decoded alone. A token may end in the middle of a character; both halves are
          no UTF-8 alone, each becomes U+FFFD, and the bytes are gone.
Hidden    English has one byte a character. Tests that decode a whole answer at once are right.
Found     An answer that ended in an emoji.
Repair    Keep the unfinished end for the next token; show what is left when the answer is over.
          Ours: nanollm/text/stream.py.
Thread    antonellof/ferrox#124, which also says why its tests did not see it.
          mlc-ai/mlc-llm PR #1142, Luce-Org/lucebox PR #641, netdur/llama_cpp_dart#90: the same.""")
