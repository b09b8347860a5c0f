"""The bug museum: showing a text while it is being generated.

Program     The model's tokens are bytes; `stream` turns each into the text that can be shown now,
            and says in the end what is left over.
Symptom     English is fine. An emoji at the end of an answer arrives as two or four question marks
            in boxes (U+FFFD), and so does Chinese, now and then. Decoding the whole answer at once
            is right.
"""

import codecs


def stream(pieces):
    """Yield the text to show after each of `pieces` (bytes), and once more at the end.

    Bytes that are no UTF-8 are shown as U+FFFD.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)
