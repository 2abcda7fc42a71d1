"""Maps to bytes and back: exact where promised, within half a step where not."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from xaiwidgets.live.transport import Map, pack, pack_labels, quantise, unpack

Floats = NDArray[np.float32]
shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=7)
finite = arrays.arrays(np.float32, shapes, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
finite64 = arrays.arrays(np.float64, shapes, elements=st.floats(-1e30, 1e30))


def there_and_back(values: NDArray[np.floating], precision: str) -> Floats:
    descriptions, data = pack([Map("sum", "sum", values, signed=True)], precision)
    return unpack(descriptions, data)["sum"]


@given(finite)
def test_float32_is_exact(values: Floats) -> None:
    np.testing.assert_array_equal(there_and_back(values, "float32"), values)


@given(st.one_of(finite, finite64))
def test_int8_errs_by_half_a_step_at_most(values: NDArray[np.floating]) -> None:
    stored, scale = quantise(values)
    assert stored.dtype == np.int8
    assert stored.min() >= -127
    largest = float(np.abs(values).max())
    error = np.abs(stored.astype(np.float64) * scale - values.astype(np.float64)).max()
    assert error <= max(largest / 254 * (1 + 1e-6), 5e-324)
    if largest > 1e-30:
        assert np.abs(there_and_back(values, "int8") - values).max() <= largest / 254 * (1 + 1e-4)


@given(finite)
def test_int8_keeps_zero_and_the_largest(values: Floats) -> None:
    stored, scale = quantise(values)
    assert not stored[values == 0].any()
    largest = np.abs(values).max()
    if largest > 0:
        assert abs(stored).max() == 127
        assert 127 * scale == pytest.approx(float(largest))


@given(finite)
def test_float16_errs_by_a_two_thousandth_of_the_largest(values: Floats) -> None:
    back = there_and_back(values, "float16")
    largest = float(np.abs(values).max())
    assert np.abs(back.astype(np.float64) - values).max() <= largest * 2.0**-11 * (1 + 1e-6) + 1e-45


@pytest.mark.parametrize("precision", ["int8", "float16", "float32"])
def test_several_maps_share_one_aligned_stream(precision: str) -> None:
    rng = np.random.default_rng(0)
    maps = [
        Map(key, f"label of {key}", rng.normal(size=shape).astype(np.float32), signed, "logit")
        for key, shape, signed in [("sum", (3, 5), True), ("magnitude", (1, 1), False), ("l2", (7, 3), False)]
    ]
    descriptions, data = pack(maps, precision)
    raw = zlib.decompress(data)
    size = {"int8": 1, "float16": 2, "float32": 4}[precision]
    end = 0
    for item, description in zip(maps, descriptions, strict=True):
        assert description["offset"] % 4 == 0
        assert description["offset"] >= end
        end = description["offset"] + item.values.size * size
        assert description["shape"] == list(item.values.shape)
        assert (description["key"], description["label"], description["signed"], description["unit"]) == (
            item.key, item.label, item.signed, "logit",
        )  # fmt: skip
        assert description["dtype"] == precision
        assert description["enc"] == "zlib"
    assert end <= len(raw) < end + 4
    back = unpack(descriptions, data)
    for item in maps:
        tolerance = 0 if precision == "float32" else np.abs(item.values).max() / 250
        np.testing.assert_allclose(back[item.key], item.values, rtol=0, atol=tolerance)


def test_rows_are_in_c_order_whatever_the_memory_layout() -> None:
    values = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    descriptions, data = pack([Map("sum", "sum", values, signed=True)], "float32")
    np.testing.assert_array_equal(np.frombuffer(zlib.decompress(data), "<f4"), np.arange(12))
    np.testing.assert_array_equal(unpack(descriptions, data)["sum"], values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("precision", ["int8", "float16", "float32"])
def test_what_is_no_number_is_refused(bad: float, precision: str) -> None:
    values = np.zeros((2, 2), np.float32)
    values[1, 0] = bad
    with pytest.raises(ValueError, match="finite"):
        pack([Map("sum", "sum", values, signed=True)], precision)


def test_the_smallest_numbers_are_kept_too() -> None:
    values = np.array([[1e-44, 0, -3e-45]], np.float32)
    for precision in ("int8", "float16", "float32"):
        np.testing.assert_allclose(there_and_back(values, precision), values, rtol=0, atol=1.5e-45)


def test_an_all_zero_map_stays_zero() -> None:
    for precision in ("int8", "float16", "float32"):
        assert not there_and_back(np.zeros((2, 3)), precision).any()
    assert quantise(np.zeros((2, 3)))[1] > 0


def test_no_maps() -> None:
    assert unpack(*pack([])) == {}
    assert unpack([], b"") == {}


@given(arrays.arrays(np.int64, shapes, elements=st.integers(0, 65535)))
def test_labels_round_trip(labels: NDArray[np.int64]) -> None:
    raw = zlib.decompress(pack_labels(labels))
    np.testing.assert_array_equal(np.frombuffer(raw, "<u2").reshape(labels.shape), labels)


@pytest.mark.parametrize("bad", [-1, 65536])
def test_labels_that_do_not_fit_are_refused(bad: int) -> None:
    with pytest.raises(ValueError, match="65535"):
        pack_labels(np.array([[0, bad]]))
