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
    encoding: str = "utf-8-sig"     # utf-8, without the mark some editors put

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
    Dataset(
        "cmudict-train", "CMUdict, split g014b2b, to learn from: 106,837 words and how they sound",
        "CMUdict's own, BSD-2-Clause style (repository BSD-3-Clause)",
        "AdolfVonKleist/Phonetisaurus@f08d3dfb10b8d619e665a9581d2a327bcc2504f7:"
        "test/g014b2b/g014b2b.train",
        "g014b2b.train", 2_717_073,
        "5882433c3a14a9a0614b5f724ce74872851092e816852c82d6b74913b2085384"),
    Dataset(
        "cmudict-test", "CMUdict, split g014b2b, to be tested on: 12,000 other words",
        "CMUdict's own, BSD-2-Clause style (repository BSD-3-Clause)",
        "AdolfVonKleist/Phonetisaurus@f08d3dfb10b8d619e665a9581d2a327bcc2504f7:"
        "test/g014b2b/g014b2b.ref",
        "g014b2b.ref", 299_283,
        "b1f24ab99ae8be1d37ee951984646a248c4fd5ae8b0a24a2f4ba2cfa0e2fc46a"),
    Dataset(
        "rt-polarity", "10,662 sentences of movie reviews, half of praise and half of blame",
        "CC BY 4.0",
        "harvardnlp/sent-conv-torch@d61ded09c99c0199d8c5bca946cd65864de2b296:data/rt-polarity.all",
        "rt-polarity.all", 1_259_719,
        "b8846c3bbd59241f901efdc58f7c515e4b280ab3561fd1858caa5aa48da95a8a", "cp1252"),
    Dataset(
        "scan-train", "SCAN, simple split, to learn from: 16,728 commands and their actions",
        "BSD (Facebook)",
        "brendenlake/SCAN@c4b756cbc010d75c912f16c42c8f15dc6b7e6c8f:"
        "simple_split/tasks_train_simple.txt",
        "scan_simple_train.txt", 3_267_938,
        "941bb8a088c5f53ceff12fde902dc008933cf0c4203cc672c47b5f79d73262dd"),
    Dataset(
        "scan-test", "SCAN, simple split, to be tested on: 4,182 commands and their actions",
        "BSD (Facebook)",
        "brendenlake/SCAN@c4b756cbc010d75c912f16c42c8f15dc6b7e6c8f:"
        "simple_split/tasks_test_simple.txt",
        "scan_simple_test.txt", 812_450,
        "1fe1c8f5a19d0dc40e41bab94278f45f66f3dc415a978bd29855a23440610fc6"),
    Dataset(
        "clinc150", "CLINC150: 23,700 requests to an assistant, 150 intents and out of scope",
        "CC BY 3.0",
        "clinc/oos-eval@828f8093932c8fe6ca7936c3d2e52903b1c523de:data/data_full.json",
        "clinc150_full.json", 2_495_390,
        "36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0"),
]}
