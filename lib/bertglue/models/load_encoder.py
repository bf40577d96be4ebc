"""Load an encoder by name, folder, archive or address, whatever format it was published in."""

from __future__ import annotations

import keras

from bertglue.encoder_names import without_random
from bertglue.models.bert import build_encoder
from bertglue.models.encoder_source import Origin, build_from, configure_encoder
from bertglue.models.find_encoder import find_encoder, hidden_act_of


def load_encoder(source: str, *, dropout: float = 0.1, seed: int = 0) -> keras.Model:
    """Load an encoder as a Keras model; its `origin` says where its weights come from.

    Args:
        source: a name (`bundled`, the small encoder that the library brings along; `minilm`, `bert-base-uncased` or
            another of `encoder_names.NAMED_ENCODERS`); an `organization/name` of Hugging Face's hub, with `@revision`
            where that matters; a folder of Hugging Face, of Google's 2018 checkpoints, of a TF Hub SavedModel, of an
            encoder from `notebooks/pretrain.ipynb`, or of a finished run; an archive (`.tar.gz`, `.zip`) of one; or the
            address of one. Weights are read as data, and nothing in the files is run. A name with `-random` behind
            it (`bundled-random`, `minilm-random`) is an encoder of the same sizes, randomly initialized from `seed`.
        dropout: the rate inside the encoder, 0 or more and below 1.
        seed: of the random initialization, of a pooler too where an encoder was published without, and of what is
            built after.

    Returns:
        A model that takes a dict of int32 `input_word_ids`, `input_mask` and `input_type_ids` [batch, length], and
        returns a dict of float `pooled_output` [batch, hidden] and `sequence_output` [batch, length, hidden].

    Raises:
        InputError: `source` is none of these, cannot be read or fetched, or holds another model than BERT.

    Source:
        Devlin et al., 2019, arXiv:1810.04805; the signature is that of TF Hub's `bert_en_uncased_L-12_H-768_A-12/4`.

    Example:
        >>> from bertglue import load_encoder, load_preprocessor
        >>> encoder, preprocess = load_encoder("bundled"), load_preprocessor("bundled", seq_length=16)
        >>> outputs = encoder(preprocess([["anna bought the violin ."]]))
        >>> tuple(outputs["pooled_output"].shape), tuple(outputs["sequence_output"].shape)
        ((1, 128), (1, 16, 128))
    """
    found, hidden_act = find_encoder(source), hidden_act_of(source)
    if without_random(source) == source:
        return build_from(found, dropout=dropout, seed=seed, hidden_act=hidden_act)
    encoder = build_encoder(configure_encoder(found, dropout, hidden_act), seed)
    encoder.origin = Origin("randomly initialized")
    return encoder
