"""Data: the very bytes meant or a clear line, whatever the network does; windows miss no token."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import tqdm

from nanollm import datasets
from nanollm.datasets import REGISTRY, Dataset, fetch, registry
from nanollm.errors import InputError

CONTENT = bytes(range(32, 127)) * 3000                      # 285,000 bytes
TINY = Dataset("tiny", "a test", "none", "someone/somewhere@" + 40 * "a" + ":some/tiny.txt",
               "tiny.txt", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Server(ThreadingHTTPServer):
    """Serves CONTENT, or what `behavior` says, and counts how often it was asked."""

    daemon_threads = True
    behavior, asked = "good", 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        known = self.path == f"/someone/somewhere/{40 * 'a'}/some/tiny.txt"
        if self.server.behavior == "missing" or not known:
            self.send_error(404)
            return
        sent = CONTENT[::-1] if self.server.behavior == "altered" else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent[:1000] if self.server.behavior == "cut" else sent)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server on this machine that stands for GitHub, an empty cache, and the data set tiny."""
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(registry, "RAW", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(fetch, "CACHE", tmp_path / "cache")
        monkeypatch.setitem(REGISTRY, "tiny", TINY)
        monkeypatch.delenv("NANOLLM_DATA", raising=False)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server
        server.shutdown()
        thread.join()


def kept():
    """The files in the cache."""
    return sorted(p.name for p in fetch.CACHE.glob("*"))


# downloads

def test_a_download_is_kept_and_not_repeated(server):
    path = datasets.get("tiny", quiet=True)
    assert path == fetch.CACHE / "tiny.txt" and path.read_bytes() == CONTENT
    assert datasets.get("tiny", quiet=True) == path
    assert server.asked == 1 and kept() == ["tiny.txt"]
    assert datasets.text("tiny") == CONTENT.decode()


@pytest.mark.parametrize("behavior, message", [
    ("altered", hashlib.sha256(CONTENT[::-1]).hexdigest()), ("missing", "404"),
    ("cut", "1000 bytes|IncompleteRead")])
def test_a_download_that_fails_says_what_to_do_and_leaves_nothing(server, behavior, message):
    server.behavior = behavior
    with pytest.raises(InputError, match=message) as error:
        datasets.get("tiny", quiet=True)
    for word in TINY.url, str(fetch.CACHE / "tiny.txt"), "by hand":
        assert word in str(error.value)
    assert "\n" not in str(error.value) and kept() == []
    server.behavior = "good"
    assert datasets.get("tiny", quiet=True).read_bytes() == CONTENT


def test_without_a_network_one_line_says_where_to_put_the_file(server, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    monkeypatch.setattr(registry, "RAW", f"http://127.0.0.1:{port}")
    with pytest.raises(InputError) as error:
        datasets.text("tiny", quiet=True)
    for word in "tiny", TINY.url, str(fetch.CACHE / "tiny.txt"), "NANOLLM_DATA":
        assert word in str(error.value)
    assert "\n" not in str(error.value) and kept() == []


def test_an_interrupted_download_leaves_nothing(server, monkeypatch):
    def interrupt(bar, n):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tqdm.tqdm, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            datasets.get("tiny", quiet=True)
    assert kept() == []
    assert datasets.get("tiny", quiet=True).read_bytes() == CONTENT


def test_a_disk_that_fails_leaves_no_half_file(server, monkeypatch):
    def full(*paths):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="disk full"):
        datasets.get("tiny", quiet=True)
    assert "tiny.txt" not in kept()


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_goes_to_stderr_unless_quiet(server, capsys, monkeypatch, quiet):
    bar = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda **settings: bar(**settings | {"delay": 0}))
    datasets.get("tiny", quiet=quiet)
    out, err = capsys.readouterr()
    assert out == "" and ("tiny.txt" in err) == (not quiet)


# where a file is

def test_the_folder_of_the_user_comes_first(server, monkeypatch, tmp_path):
    assert datasets.details("tiny")["where"] == "to download"
    cached = datasets.get("tiny", quiet=True)
    assert datasets.details("tiny")["where"] == "cache"
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.setenv("NANOLLM_DATA", str(folder))
    assert datasets.get("tiny") == cached
    (folder / "tiny.txt").write_bytes(CONTENT)
    assert datasets.get("tiny") == folder / "tiny.txt"
    assert datasets.details("tiny")["where"] == "$NANOLLM_DATA"
    assert datasets.details("tiny")["path"] == str(folder / "tiny.txt")


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"\n", b"x" + CONTENT[1:]])
def test_an_altered_file_is_refused_wherever_it_lies(server, monkeypatch, tmp_path, content):
    for place in fetch.CACHE, tmp_path / "mine":
        place.mkdir()
        (place / "tiny.txt").write_bytes(content)
        with pytest.raises(InputError) as error:
            datasets.get("tiny")
        got = hashlib.sha256(content).hexdigest()
        for word in str(place / "tiny.txt"), TINY.sha256, got, "delete it":
            assert word in str(error.value)
        monkeypatch.setenv("NANOLLM_DATA", str(tmp_path / "mine"))
    assert server.asked == 0


def test_a_folder_of_the_user_that_is_none_is_named(server, monkeypatch, tmp_path):
    monkeypatch.setenv("NANOLLM_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="NANOLLM_DATA"):
        datasets.get("tiny")


# the registry

def test_every_data_set_names_its_origin_license_and_sha256():
    assert {"pydoc", "tinyshakespeare", "names", "tinystories", "taylorswift",
            "gpt2-merges", "cmudict-train", "cmudict-test", "rt-polarity", "scan-train",
            "scan-test", "clinc150"} <= REGISTRY.keys()
    for name, data in REGISTRY.items():
        assert data.name == name and data.what and data.license and data.origin
        if name != "pydoc":
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}:[\w./-]+", data.origin)
            assert re.fullmatch("[0-9a-f]{64}", data.sha256) and data.size > 0 and data.file
    assert REGISTRY["names"].url == ("https://raw.githubusercontent.com/karpathy/makemore/"
                                     "988aa59e4d8fefa526d06f3b453ad116258398d4/names.txt")


@pytest.mark.parametrize("name", [name for name, data in REGISTRY.items() if data.file])
def test_the_files_at_hand_are_the_files_meant(name):
    if datasets.details(name)["where"] == "to download":
        pytest.skip(f"{name} is not on this machine")
    path = datasets.get(name)
    assert path.stat().st_size == REGISTRY[name].size
    assert datasets.text(name)


def test_the_readme_lists_every_data_set():
    readme = (fetch.CACHE.parent / "README.md").read_text(encoding="utf-8")
    for data in REGISTRY.values():
        (line,) = [line for line in readme.splitlines() if line.startswith(f"| `{data.name}` |")]
        for word in data.what, data.file, data.license, data.origin:
            assert word in line


def test_rows_say_where_each_data_set_is(server):
    rows = {row["name"]: row for row in datasets.rows()}
    assert rows.keys() == REGISTRY.keys()
    assert rows["pydoc"]["where"] == "embedded" and rows["pydoc"]["size"] > 100_000
    assert rows["tiny"] == {"name": "tiny", "size": len(CONTENT), "where": "to download",
                            "what": REGISTRY["tiny"].what}
    assert server.asked == 0 and kept() == []


# texts

def test_pydoc_needs_no_network_and_tells_its_sha256(server):
    found = datasets.text("pydoc")
    assert len(found) > 100_000 and 'The "assert" statement' in found
    assert datasets.details("pydoc")["sha256"] == hashlib.sha256(found.encode()).hexdigest()
    assert "Python 3." in datasets.details("pydoc")["origin"] and server.asked == 0
    with pytest.raises(InputError, match="embedded"):
        datasets.get("pydoc")


def test_a_registered_text_is_read_in_its_encoding(server, monkeypatch, tmp_path):
    content = b"caf\xe9 \x97 na\xefve"
    for encoding, expected in ("cp1252", "café — naïve"), ("latin-1", "café \x97 naïve"):
        monkeypatch.setitem(REGISTRY, "old", Dataset(
            "old", "a test", "none", TINY.origin, "old.txt", len(content),
            hashlib.sha256(content).hexdigest(), encoding))
        (tmp_path / "old.txt").write_bytes(content)
        monkeypatch.setenv("NANOLLM_DATA", str(tmp_path))
        assert datasets.text("old") == expected


@pytest.mark.parametrize("content, expected", [
    ("naïve\r\n你好".encode(), "naïve\r\n你好"), (b"\xef\xbb\xbfmark", "mark"), (b"x", "x")])
def test_a_local_file_is_read_as_it_is(tmp_path, content, expected):
    path = tmp_path / "own.txt"
    path.write_bytes(content)
    assert datasets.text(path) == datasets.text(str(path)) == expected


@pytest.mark.parametrize("content, message", [
    (b"", "empty"), (b"caf\xe9!", "0xe9 at position 3"), ("hi".encode("utf-16"), "not UTF-8")])
def test_a_local_file_that_is_no_text_is_refused(tmp_path, content, message):
    path = tmp_path / "own.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        datasets.text(path)
    assert "own.txt" in str(error.value)


def test_a_name_that_is_unknown_gets_the_closest_one(tmp_path):
    for read in datasets.text, datasets.get, datasets.details:
        with pytest.raises(InputError, match=r"did you mean tinyshakespeare\?.*pydoc"):
            read("tinyshakespear")
    with pytest.raises(InputError, match="folder"):
        datasets.text(tmp_path)


# windows

@pytest.mark.parametrize("seed", range(20))
def test_every_token_but_the_first_is_once_a_target(seed):
    rng = np.random.default_rng(seed)
    n, context, batch = (int(rng.integers(low, high)) for low, high in ((2, 60), (1, 12), (1, 5)))
    ids = rng.integers(5, 1000, n)
    xs, ys = zip(*datasets.windows(ids, context, batch))
    assert all(len(x) == batch for x in xs[:-1]) and 1 <= len(xs[-1]) <= batch
    x, y = np.concatenate(xs), np.concatenate(ys)
    assert x.dtype == y.dtype == np.int64 and x.shape == y.shape == (len(x), context)
    x, y = x.ravel(), y.ravel()
    assert x[:n - 1].tolist() == ids[:-1].tolist() and y[:n - 1].tolist() == ids[1:].tolist()
    assert len(y) - (n - 1) < context
    assert (x[n - 1:] == 0).all() and (y[n - 1:] == datasets.IGNORED).all()


def test_a_sample_is_windows_of_the_text_and_reaches_both_ends():
    ids = np.arange(100, 120, dtype=np.uint16)
    x, y = datasets.sample(ids, 500, 7, np.random.default_rng(0))
    assert x.shape == y.shape == (500, 7) and x.dtype == y.dtype == np.int64
    assert (np.diff(x) == 1).all() and (y == x + 1).all()
    assert set(x[:, 0].tolist()) == set(range(100, 113)) and y.max() == 119


def test_the_same_generator_gives_the_same_sample():
    ids = np.arange(1000)
    first, again, other = (datasets.sample(ids, 4, 8, np.random.default_rng(seed))[0]
                           for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_the_last_tenth_is_held_out():
    train, validation = datasets.split(np.arange(1_115_394))
    assert len(train) == 1_003_854 and len(validation) == 111_540 and validation[0] == 1_003_854
    train, validation = datasets.split(np.arange(8), 0.25)
    assert train.tolist() == [0, 1, 2, 3, 4, 5] and validation.tolist() == [6, 7]


@pytest.mark.parametrize("held_out", [0, 1, -0.1, 10])
def test_a_share_that_is_none_is_refused(held_out):
    with pytest.raises(InputError, match="held_out"):
        datasets.split(np.arange(10), held_out)


def test_a_text_too_short_for_a_window_says_how_many_tokens_are_needed():
    rng = np.random.default_rng(0)
    assert datasets.sample(np.arange(9), 2, 8, rng)[1].tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]] * 2
    with pytest.raises(InputError, match="has 8 tokens.* needs 9.* at most 7"):
        datasets.sample(np.arange(8), 2, 8, rng)
    for n in 0, 1:
        with pytest.raises(InputError, match=f"has {n} tokens.* needs 2"):
            datasets.windows(np.arange(n), 8, 2)
    for context, batch in (0, 1), (1, 0):
        with pytest.raises(InputError, match="at least 1"):
            datasets.windows(np.arange(10), context, batch)
