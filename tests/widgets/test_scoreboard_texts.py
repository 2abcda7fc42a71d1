"""The scoreboard about texts."""

import zlib

import numpy as np
from texts import Bag, Words

from xaiwidgets.widgets.compare import compare


def test_texts_of_different_lengths_keep_their_own_tokens() -> None:
    texts = ["a rather long text of words", "short <b>one</b>"]
    widget = compare(
        Bag(), texts, ("input_x_gradient", "feature_ablation"), metrics=("comprehensiveness",), tokenizer=Words()
    )  # fmt: skip
    widget.wait(60)
    assert widget.medium == "text"
    assert widget.tokens[0] == ["a", "rather", "long", "text", "of", "words"]
    assert len(widget.tokens[1]) == len(Words()(texts[1])["input_ids"])
    assert widget.maps["shapes"] == [[1, len(tokens)] for tokens in widget.tokens]
    stored = np.frombuffer(zlib.decompress(widget.map_data), np.int8)
    values = widget.result.maps["input_x_gradient"]
    scale = widget.maps["entries"]["input_x_gradient"]["scales"][0]
    assert np.allclose(stored[:6] * scale, values[0, :6].double().numpy(), atol=scale)
    assert [one["label"] for one in widget.inputs] == texts
    assert [entry["key"] for entry in widget.entries] == ["input_x_gradient", "feature_ablation", "random", "lengths"]
    assert "<b>one" not in widget._figure()
    widget.close()
