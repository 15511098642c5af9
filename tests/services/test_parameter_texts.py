from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_app.contract.errors import InvalidInput
from storage_app.services.parameter_texts import Format, decode, format_of, read, write

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=("Cs",)), max_size=5), inner, max_size=3
        )
    ),
    max_leaves=8,
)
PARAMS = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=8), VALUES, max_size=5
)


@pytest.mark.parametrize("form", Format)
@given(params=PARAMS)
def test_what_is_written_is_read_again(form, params):
    found = read(write(params, form), form)
    assert repr(found) == repr(params)


@pytest.mark.parametrize(
    ("form", "text", "complaint"),
    [
        (Format.JSON, '{"a": 1,\n "b": }', "line 2, column 7"),
        (
            Format.JSON,
            '{"a": 1,\n\t"b": {"c": 1,\n\t"c": 2}}',
            "line 3: a key is given twice: c",
        ),
        (Format.JSON, '{"a": NaN}', "not a finite number: NaN"),
        (Format.JSON, '{"a": 1e999}', "'a' is inf"),
        (Format.JSON, "[1, 2]", "write an object"),
        (Format.JSON, "", "line 1, column 1"),
        (Format.JSON, "[" * 100_000, "nested too deep"),
        (Format.YAML, "a: 1\nb: [1, 2\n", "line 3, column 1"),
        (Format.YAML, "a: 1\n\tb: 2", "line 2, column 1"),
        (Format.YAML, "a: 1\nc: 2\na: 3", "line 3: a key is given twice: a"),
        (Format.YAML, "a: &x [1]\nb: *x", r"line 2: references are not supported.*: \*x"),
        (Format.YAML, "a: 2026-03-02", "'a' is a date"),
        (Format.YAML, "a: 2026-02-30", "cannot be read"),
        (Format.YAML, "1: one", "must be text"),
        (Format.YAML, "- 1", "write an object"),
        (Format.YAML, "a: !!python/object/apply:os.system ['true']", "line 1, column 4"),
        (Format.YAML, "a: 1\n---\nb: 2", "line 2"),
        (Format.YAML, "[" * 3000, "nested too deep|line"),
        (Format.YAML, "a: 1\n" * 60_000, "use JSON"),
    ],
)
def test_text_that_holds_no_parameters_is_refused_with_its_line(form, text, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        read(text, form)


def test_file_in_another_encoding_or_format_is_refused():
    assert decode("\ufeff{}".encode()) == "{}"
    with pytest.raises(InvalidInput, match="line 2: the file is not UTF-8"):
        decode("a: 1\n参数: 2".encode("gbk"))
    with pytest.raises(InvalidInput, match="neither"):
        format_of("params.py")
    assert [format_of("a.JSON"), format_of("a.yml")] == [Format.JSON, Format.YAML]
