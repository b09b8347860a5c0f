"""What data there is: name, license, and the very bytes meant (origin at a commit, sha256).

The origin owner/repository@commit:path is a file on GitHub. pydoc is embedded: the English that
Python's own help() shows comes with every Python, and needs no network. It differs from one
Python version to the next, so its sha256 is shown by `details`, not checked.
"""

from dataclasses import dataclass

RAW = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Dataset:
    name: str
    what: str
    license: str
    origin: str
    file: str = ""              # its name in $NANOLLM_DATA and data/cache; "" if embedded
    size: int = 0               # bytes
    sha256: str = ""

    @property
    def url(self):
        """Where the file is downloaded from; "" if embedded."""
        if not self.file:
            return ""
        repository, _, place = self.origin.partition("@")
        commit, _, path = place.partition(":")
        return f"{RAW}/{repository}/{commit}/{path}"


REGISTRY = {data.name: data for data in [
    Dataset(
        "pydoc", "the help texts of Python itself: half a million characters of technical English",
        "PSF-2.0", "CPython, pydoc_data.topics in sorted order"),
    Dataset(
        "tinyshakespeare", "plays of Shakespeare: 1,115,394 characters, 65 distinct",
        "public domain text (repository MIT)",
        "karpathy/char-rnn@6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e:"
        "data/tinyshakespeare/input.txt",
        "tinyshakespeare.txt", 1_115_394,
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),
    Dataset(
        "names", "32,033 first names, one a line",
        "US SSA data, public domain (repository MIT)",
        "karpathy/makemore@988aa59e4d8fefa526d06f3b453ad116258398d4:names.txt",
        "names.txt", 228_145,
        "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"),
    Dataset(
        "tinystories", "about 5,000 short stories in simple words, lower-cased, a newline between",
        "CDLA-Sharing-1.0",
        "Arnoochka/Transformer-Parallelism@911b9e732fbe6d228ba0feacbd6735395f0d279e:"
        "tinystories.txt",
        "tinystories_4MB.txt", 4_192_330,
        "30c6f2fac206d82e76b80dbbede28f6b5415c8d8571dde6bfd8226ab41744a2c"),
    Dataset(
        "taylorswift", "one long Wikipedia article, a usual test of tokenizers",
        "Wikipedia text, CC BY-SA (repository MIT)",
        "karpathy/minbpe@1acefe89412b20245db5a22d2a02001e547dc602:tests/taylorswift.txt",
        "taylorswift.txt", 185_768,
        "c2e39cb822d4ae0caac22152cefc306d466e31217a9c5524e493ad2b76792f57"),
    Dataset(
        "gpt2-merges", "the 50,000 merges of GPT-2's tokenizer, for BytePairs.gpt2",
        "MIT (OpenAI GPT-2)",
        "rasbt/LLMs-from-scratch@28c65cdfbc3338e2e040016eea4b7fdf556e4d57:"
        "ch02/02_bonus_bytepair-encoder/gpt2_model/vocab.bpe",
        "gpt2_vocab.bpe", 456_318,
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
]}
