"""A SavedModel's graph is run as `preprocessor` alone, which says so; what came as an encoder is read as data."""

import ast
import json
import re
import shutil

import numpy as np
import pytest
from paths import ROOT
from savedmodels import VOCABULARY, export_encoder, export_preprocessor, writer

from bertglue import InputError, Parameters, load_encoder, load_preprocessor
from bertglue.data.dataset import Split
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.preprocessor import Preprocessor, tokenize
from bertglue.models.saved_classifier import load_classifier, save_classifier
from bertglue.models.trusted_preprocessor import SavedModelPreprocessor, load_trusted_preprocessor
from bertglue.tools.fetch import fetch, is_local


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return export_preprocessor(tmp_path_factory.mktemp("hub") / "preprocess")


@pytest.fixture
def hostile(tmp_path):
    """A SavedModel whose `tokenize` writes a file, and the file."""
    written = tmp_path / "written"
    return export_preprocessor(tmp_path / "hub" / "hostile", before=writer(written)), written


def test_nothing_that_came_as_an_encoder_is_run(hostile):
    folder, written = hostile
    preprocess = load_preprocessor(str(folder), 8)
    preprocess([["a b"]])
    with pytest.raises(InputError, match="a preprocessing model"):
        load_encoder(str(folder))
    with pytest.raises(InputError, match="a preprocessing model"):
        fetch(Parameters(encoder=str(folder)))
    fetch(Parameters(preprocessor=str(folder)))
    assert not written.exists()
    assert type(preprocess) is Preprocessor
    load_preprocessor("bundled", 8, preprocessor=str(folder))  # so the graph does write where it is run
    assert written.read_text() == "by the graph"


def test_an_encoder_with_the_functions_of_a_preprocessor_is_not_run(tmp_path):
    written = tmp_path / "written"
    folder = export_encoder(tmp_path / "hub" / "both", writes=str(written))
    load_encoder(str(folder))
    load_preprocessor(str(folder), 8)([["a"]])
    assert not written.exists()
    load_preprocessor("bundled", 8, preprocessor=str(folder))
    assert written.exists()


def names_in(text):
    """List the names and attributes of a module's code, without what its texts say."""
    nodes = ast.walk(ast.parse(text))
    return "\n".join(ast.unparse(node) for node in nodes if isinstance(node, ast.Name | ast.Attribute))


def test_one_place_alone_loads_graphs():
    """And it is reached from the parameter alone."""
    sources = {path: path.read_text() for path in (ROOT / "lib").rglob("*.py")}
    loads = r"hub\.load\b|hub\.KerasLayer|saved_model\.load|TFSMLayer|tf\.compat\.v1\.saved_model"
    code = {path: names_in(text) for path, text in sources.items()}  # a model card shows such a line
    assert [path.name for path, names in code.items() if re.search(loads, names)] == ["trusted_preprocessor.py"]
    users = [path.name for path, text in sources.items() if "load_trusted_preprocessor" in text]
    assert sorted(users) == ["preprocessor.py", "trusted_preprocessor.py"]


def test_a_trusted_graph_is_named_in_one_line(published, capsys):
    preprocess = load_preprocessor("bundled", 8, preprocessor=str(published))
    assert isinstance(preprocess, SavedModelPreprocessor)
    said = f"preprocessor is {published}: its graph is trusted, and run; it can read and write files\n"
    assert capsys.readouterr().out == said
    assert preprocess([["a b"]])["input_word_ids"].numpy().tolist() == [[2, 5, 6, 3, 0, 0, 0, 0]]


@pytest.mark.parametrize("lower_case", [True, False])
def test_vocabulary_and_casing_are_read_off_the_graph(tmp_path, lower_case):
    folder = export_preprocessor(tmp_path / "preprocess", [*VOCABULARY, "A"], lower_case=lower_case)
    preprocess = load_preprocessor(str(folder), 8)
    assert preprocess.vocabulary == [*VOCABULARY, "A"]
    assert preprocess.lower_case is load_trusted_preprocessor(str(folder), 8).lower_case is lower_case


def test_the_published_one_is_read_as_it_runs(hub_dir):
    folder = str(hub_dir / "bert_en_uncased_preprocess")
    assert load_preprocessor(folder, 8).lower_case is load_trusted_preprocessor(folder, 8).lower_case is True


def test_what_is_no_preprocessing_model_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr("tensorflow_hub.load", None)
    folder = export_encoder(tmp_path / "bert")
    with pytest.raises(InputError, match=r"preprocessor is .*bert, which has no tokenize and bert_pack_inputs; give"):
        load_preprocessor("bundled", 8, preprocessor=str(folder))
    with pytest.raises(InputError, match="'bundled' is no encoder that is known"):
        load_preprocessor("bundled", 8, preprocessor="bundled")


@pytest.mark.parametrize("content", [b"", b"no graph", None])
@pytest.mark.parametrize("trusted", [True, False])
def test_a_damaged_graph_is_one_line(published, tmp_path, content, trusted):
    folder = shutil.copytree(published, tmp_path / "preprocess")
    whole = (folder / "saved_model.pb").read_bytes()
    (folder / "saved_model.pb").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(InputError, match=r"preprocess.*(cannot be loaded|is cut short or damaged) \(.*fetch it again"):
        load_preprocessor(str(folder), 8, preprocessor=str(folder) if trusted else None)


def test_another_graph_of_the_same_vocabulary_has_tokens_of_its_own(published, hostile, tmp_path):
    rows = Split({"sentence": ["a b"]}, np.zeros(1, "int32"))
    for folder in (published, published, hostile[0]):
        tokenize(rows, load_trusted_preprocessor(str(folder), 8), tmp_path)
    assert len(list((tmp_path / "tokens").iterdir())) == 2


def test_a_run_keeps_vocabulary_and_casing_and_no_graph(hostile, tmp_path):
    folder, written = hostile
    classifier = build_classifier(build_encoder(EncoderConfig(len(VOCABULARY), 8, 16, (2,), 4, 16)), 2)
    save_classifier(classifier, load_trusted_preprocessor(str(folder), 8), tmp_path / "run")
    written.unlink()
    _, preprocess = load_classifier(tmp_path / "run")
    assert type(preprocess) is Preprocessor
    assert preprocess([["A b"]])["input_word_ids"].numpy().tolist() == [[2, 5, 6, 3, 0, 0, 0, 0]]
    options = {"seq_length": 8, "lower_case": True, "strip_accents": None, "split_chinese": True}
    assert json.loads((tmp_path / "run" / "preprocessing.json").read_text()) == options
    assert not written.exists()


def test_a_preprocessor_is_fetched_before_runs_start(published, tmp_path):
    assert is_local(None)
    assert is_local(str(published))
    assert not is_local("https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3")
    assert fetch(Parameters(preprocessor=str(published))) == [f"{published}: {published}"]
    assert fetch(Parameters()) == []
