"""SavedModels by folder, archive and address: kept in a cache of this user, whole, and made once."""

import gzip
import os
import tarfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from savedmodels import export_encoder

from bertglue import InputError, load_encoder
from bertglue.models import encoder_places
from bertglue.models.encoder_places import find_folder, hub_cache_dir


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return export_encoder(tmp_path_factory.mktemp("hub") / "bert")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def archive(folder, path, inside="."):
    with tarfile.open(path, "w:gz") as file:
        file.add(folder, arcname=inside)
    return path


@pytest.mark.parametrize("inside", [".", "bert"])
def test_a_tar_is_unpacked_once(small, tmp_path, cache, inside, monkeypatch):
    path = archive(small, tmp_path / "bert.tar.gz", inside)
    expected = load_encoder(str(small)).get_weights()
    for _ in range(2):
        for left, right in zip(load_encoder(str(path)).get_weights(), expected, strict=True):
            np.testing.assert_array_equal(left, right)
        monkeypatch.setattr(encoder_places, "unpack", None)
    assert len(list(cache.iterdir())) == 1


def test_a_tar_that_changed_is_another(small, tmp_path, cache):
    path = archive(small, tmp_path / "bert.tar.gz")
    first = find_folder(str(path)).folder
    path.write_bytes(path.read_bytes() + b"\0")
    assert find_folder(str(path)).folder != first


@pytest.mark.parametrize("part", ["saved_model.pb", "variables/variables.index", "assets/vocab.txt"])
@pytest.mark.parametrize("damage", [b"", b"something else", None])
def test_what_was_damaged_in_the_cache_is_made_anew(small, tmp_path, cache, part, damage, capsys):
    path = archive(small, tmp_path / "bert.tar.gz")
    kept = find_folder(str(path)).folder / part
    kept.unlink() if damage is None else kept.write_bytes(damage)
    assert find_folder(str(path)).folder / part == kept
    assert kept.read_bytes() == (small / part).read_bytes()
    assert "was damaged; it is made anew" in capsys.readouterr().out


def test_an_archive_that_is_refused_leaves_nothing(tmp_path, cache):
    (tmp_path / "evil").write_text("")
    path = archive(tmp_path / "evil", tmp_path / "evil.tar", "../../escaped")
    with pytest.raises(InputError, match=r"evil.tar was not unpacked: '../../escaped' in it leads outside"):
        load_encoder(str(path))
    assert not list(tmp_path.rglob("escaped"))
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    "damage", [b"", b"no tar at all", gzip.compress(bytes(10240), mtime=0)], ids=["empty", "text", "zeros"]
)
def test_an_archive_that_holds_no_encoder_leaves_nothing(tmp_path, cache, damage):
    path = tmp_path / "bert.tar.gz"
    path.write_bytes(damage)
    with pytest.raises(InputError, match=r"bert.tar.gz (could not be unpacked .*fetch it again|holds no encoder)"):
        find_folder(str(path))
    assert not list(cache.iterdir())


@pytest.fixture
def site(small, tmp_path, cache):
    """A server on the loopback that gives out the archive as TF Hub and Kaggle do."""
    archive(small, tmp_path / "bert.tar.gz")
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.path = "/bert.tar.gz"
            super().do_GET()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Handler(*args, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/tensorflow/bert/1", asked
    server.shutdown()
    server.server_close()


def test_an_address_is_fetched_once_in_the_form_that_tf_hub_gives_out(site, cache, capsys):
    address, asked = site
    for _ in range(2):
        load_encoder(address)
    assert asked == ["/tensorflow/bert/1?tf-hub-format=compressed"]
    assert capsys.readouterr().out == f"fetching {address}, once\n"
    assert len(list(cache.iterdir())) == 1


def test_an_address_keeps_its_own_query(site):
    address, asked = site
    find_folder(f"{address}?version=2")
    assert asked == ["/tensorflow/bert/1?version=2&tf-hub-format=compressed"]


def test_an_archive_that_is_cut_on_its_way_is_not_kept(site, cache, tmp_path):
    path = tmp_path / "bert.tar.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"^http:.*bert/1 could not be unpacked \(.*\); fetch it again$"):
        find_folder(site[0])
    assert not list(cache.iterdir())


@pytest.mark.parametrize("handle", ["tfhub.dev/tensorflow/x/4", "kaggle.com/models/tensorflow/bert/x/1"])
def test_an_address_without_its_scheme(handle, monkeypatch, small, tmp_path, cache):
    asked = []
    path = archive(small, tmp_path / "bert.tar.gz")
    monkeypatch.setattr(encoder_places, "ask", lambda address: asked.append(address) or path.open("rb"))
    assert (find_folder(handle).folder / "saved_model.pb").is_file()
    assert asked == [f"https://{handle}"]


def test_no_network(cache):
    with pytest.raises(InputError, match=r"could not be fetched \(URLError.*go online once, or fetch its archive"):
        load_encoder("http://127.0.0.1:9/tensorflow/bert/1")
    assert not list(cache.iterdir())


@pytest.mark.parametrize("source", ["bert-base", "gs://bucket/bert.tar.gz", "file:///etc/passwd"])
def test_what_is_no_source_is_named(source):
    with pytest.raises(InputError, match=f"'{source}' is no encoder that is known"):
        find_folder(source)


# ---------------------------------------------------------------- where it lies


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_cache_is_this_users_unless_the_variable_is_set(home, monkeypatch):
    assert home in hub_cache_dir().parents
    assert hub_cache_dir().parts[-2:] == ("bertglue", "tfhub")
    monkeypatch.setenv("TFHUB_CACHE_DIR", "~/shared")
    assert hub_cache_dir() == home / "shared"


@pytest.mark.parametrize("level", [0, 1])
def test_a_cache_that_somebody_else_put_there_is_not_used(home, small, tmp_path, monkeypatch, level):
    path = archive(small, tmp_path / "bert.tar.gz")
    folder = [hub_cache_dir(), hub_cache_dir().parent][level]
    folder.mkdir(parents=True)
    find_folder(str(path))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(InputError) as error:
        find_folder(str(path))
    first = hub_cache_dir().parent
    message = (
        f"{first} belongs to {first.owner()} and not to you; remove it, or set TFHUB_CACHE_DIR to a folder of your own"
    )
    assert str(error.value) == message
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(hub_cache_dir()))  # whoever names it trusts it
    assert find_folder(str(path)).folder.is_dir()


def test_without_a_home_the_line_says_what_to_set(home, small, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/proc/none")
    path = archive(small, tmp_path / "bert.tar.gz")
    with pytest.raises(InputError, match=r"cannot be written .*, or set TFHUB_CACHE_DIR to a folder of your own$"):
        find_folder(str(path))


@pytest.fixture
def packed(small, tmp_path):
    return archive(small, tmp_path / "bert.tar.gz")


def test_a_full_disk_leaves_no_encoder(packed, cache, full_disk):
    with pytest.raises(InputError, match=r"cannot be written \(File too large\); free space there, or set TFHUB_CACHE"):
        find_folder(str(packed))
    assert not list(cache.iterdir())
