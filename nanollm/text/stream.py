"""Text as it is generated: a token may end in the middle of a character, so wait for the rest.

    stream = tokenizer.stream()
    for id in generated:
        print(stream.feed(id), end="", flush=True)
    print(stream.end())

What it returns can be printed anywhere: bytes that are not UTF-8, lone surrogates among them,
become U+FFFD (decode() keeps a lone surrogate as it is).
"""

import codecs


class Stream:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.waiting = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, id):
        """The text that token `id` completes; "" while a character is unfinished."""
        return self.waiting.decode(self.tokenizer.decode_bytes([id]))

    def end(self):
        """What is left at the end: "" or, for an unfinished character, U+FFFD."""
        return self.waiting.decode(b"", final=True)
