"""Small SavedModels with the interface of TF Hub's BERT, written in plain TensorFlow: a second implementation."""

import numpy as np
import tensorflow as tf
import tensorflow_text as text

AutoTrackable = tf.__internal__.tracking.AutoTrackable
IDS = tf.TensorSpec([None, None], tf.int32)
SPEC = dict.fromkeys(("input_word_ids", "input_mask", "input_type_ids"), IDS)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "##b", "##c", ".", ",", "?"]


def shapes(vocabulary, hidden, layers, heads, inner, positions):
    """Name every weight as TF Hub's encoders do."""
    size = hidden // heads
    yield from (
        ("word_embeddings/embeddings", (vocabulary, hidden)),
        ("position_embedding/embeddings", (positions, hidden)),
        ("type_embeddings/embeddings", (2, hidden)),
        ("embeddings/layer_norm/gamma", (hidden,)),
        ("embeddings/layer_norm/beta", (hidden,)),
    )
    for i in range(layers):
        name = f"transformer/layer_{i}"
        for part in ("query", "key", "value"):
            yield f"{name}/self_attention/{part}/kernel", (hidden, heads, size)
            yield f"{name}/self_attention/{part}/bias", (heads, size)
        yield f"{name}/self_attention/attention_output/kernel", (heads, size, hidden)
        yield f"{name}/self_attention/attention_output/bias", (hidden,)
        yield from ((f"{name}/self_attention_layer_norm/{part}", (hidden,)) for part in ("gamma", "beta"))
        yield from ((f"{name}/intermediate/kernel", (hidden, inner)), (f"{name}/intermediate/bias", (inner,)))
        yield from ((f"{name}/output/kernel", (inner, hidden)), (f"{name}/output/bias", (hidden,)))
        yield from ((f"{name}/output_layer_norm/{part}", (hidden,)) for part in ("gamma", "beta"))
    yield from (("pooler_transform/kernel", (hidden, hidden)), ("pooler_transform/bias", (hidden,)))


def normalise(w, name, x):
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-12) * w[f"{name}/gamma"] + w[f"{name}/beta"]


def attend(w, name, x, mask, drop):
    query, key, value = (
        tf.einsum("bld,dhs->blhs", x, w[f"{name}/{part}/kernel"]) + w[f"{name}/{part}/bias"]
        for part in ("query", "key", "value")
    )
    scores = tf.einsum("bqhs,bkhs->bhqk", query, key) / tf.sqrt(float(key.shape[-1]))
    scores += (1.0 - tf.cast(mask, tf.float32))[:, None, None, :] * -1e9
    context = tf.einsum("bhqk,bkhs->bqhs", drop(tf.nn.softmax(scores)), value)
    output = f"{name}/attention_output"
    return tf.einsum("bqhs,hsd->bqd", context, w[f"{output}/kernel"]) + w[f"{output}/bias"]


def encode(w, layers, inputs, training=False):
    """BERT's forward pass, from the names of its weights."""

    def drop(x):
        return tf.nn.dropout(x, 0.1) if training else x

    ids = inputs["input_word_ids"]
    x = tf.gather(w["word_embeddings/embeddings"], ids) + tf.gather(
        w["type_embeddings/embeddings"], inputs["input_type_ids"]
    )
    x = drop(normalise(w, "embeddings/layer_norm", x + w["position_embedding/embeddings"][: tf.shape(ids)[1]]))
    for i in range(layers):
        name = f"transformer/layer_{i}"
        attended = attend(w, f"{name}/self_attention", x, inputs["input_mask"], drop)
        x = normalise(w, f"{name}/self_attention_layer_norm", x + drop(attended))
        inner = tf.nn.gelu(x @ w[f"{name}/intermediate/kernel"] + w[f"{name}/intermediate/bias"], approximate=True)
        output = inner @ w[f"{name}/output/kernel"] + w[f"{name}/output/bias"]
        x = normalise(w, f"{name}/output_layer_norm", x + drop(output))
    pooled = tf.tanh(x[:, 0] @ w["pooler_transform/kernel"] + w["pooler_transform/bias"])
    return {"pooled_output": pooled, "sequence_output": x, "default": pooled}


def forward(w, layers):
    """Give the forward pass as a function of the SavedModel, with and without dropout."""

    @tf.function
    def call(inputs, training=False):
        return encode(w, layers, inputs, training)

    for training in (False, True):
        call.get_concrete_function(SPEC, training)
    return call


def write_vocabulary(folder, vocabulary) -> str:
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.parent / "vocab.txt"
    path.write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    return str(path)


def export_variables(
    folder, named_shapes, *, layers=0, vocabulary=VOCABULARY, lower_case=True, seed=0, weights=None, writes=None
):
    """Write variables of the given names as a SavedModel, with a forward pass if there are `layers`.

    Their values are `weights`, by name, or drawn. With `writes` it can preprocess too, and writes that file as it does.
    """
    rng = np.random.default_rng(seed)
    model = AutoTrackable()
    model.variables = [
        tf.Variable(weights[name] if weights else rng.normal(0, 0.2, shape).astype("float32"), name=name)
        for name, shape in named_shapes
    ]
    model.trainable_variables = list(model.variables)
    if layers:
        model.__call__ = forward({variable.name.removesuffix(":0"): variable for variable in model.variables}, layers)
    model.mlm = AutoTrackable()  # the head of pre-training, which an encoder leaves behind
    model.mlm.variables = [tf.Variable(tf.zeros(3), name="bert/cls/predictions/output_bias/bias")]
    model.do_lower_case = tf.Variable(lower_case, trainable=False)
    model.vocab_file = tf.saved_model.Asset(write_vocabulary(folder, vocabulary))
    if writes:
        add_preprocessing(model, write_vocabulary(folder, vocabulary), vocabulary, before=writer(writes))
    tf.saved_model.save(model, str(folder))
    return folder


def export_encoder(folder, *, hidden=8, layers=2, heads=2, inner=16, positions=32, **options):
    """Write a small BERT encoder."""
    named = shapes(len(options.get("vocabulary", VOCABULARY)), hidden, layers, heads, inner, positions)
    return export_variables(folder, named, layers=layers, **options)


def writer(path):
    """Return what passes texts on in a graph, and writes a file as it does."""

    def write(texts):
        tf.io.write_file(str(path), "by the graph")
        return texts

    return write


def export_preprocessor(folder, vocabulary=VOCABULARY, **options):
    """Write a preprocessing model."""
    model = AutoTrackable()
    add_preprocessing(model, write_vocabulary(folder, vocabulary), vocabulary, **options)
    tf.saved_model.save(model, str(folder))
    return folder


def add_preprocessing(model, path, vocabulary, *, lower_case=True, before=lambda texts: texts):
    """Give a model `tokenize` and `bert_pack_inputs`, on tensorflow-text's reference tokenizer."""
    model.tokenizer = text.BertTokenizer(path, token_out_type=tf.int32, lower_case=lower_case)
    model.tokenize = tf.function(
        lambda texts: model.tokenizer.tokenize(before(texts)), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    start, end = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")

    @tf.function
    def bert_pack_inputs(tokens, seq_length):
        room = seq_length - 1 - len(tokens)
        trimmed = text.RoundRobinTrimmer(room).trim([segment.merge_dims(1, -1) for segment in tokens])
        ids, types = text.combine_segments(trimmed, start, end)
        word_ids, mask = text.pad_model_inputs(ids, seq_length)
        return {
            "input_word_ids": word_ids,
            "input_mask": mask,
            "input_type_ids": text.pad_model_inputs(types, seq_length)[0],
        }

    tokens = tf.RaggedTensorSpec([None, None, None], tf.int32)
    for count in (1, 2):
        bert_pack_inputs.get_concrete_function([tokens] * count, tf.TensorSpec([], tf.int32))
    model.bert_pack_inputs = bert_pack_inputs
