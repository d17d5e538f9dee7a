from __future__ import annotations

import html
import re
from html.entities import html5

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpuscurate import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.stage import Edit
from corpuscurate.stages import Markup


def applied(texts, **parameters):
    batch = Batch(np.arange(len(texts), dtype=np.uint64), pa.array(["x", *texts], TEXT).slice(1), np.zeros(len(texts)))
    return Markup(**parameters).apply(batch)


def stripped(text, **parameters):
    outcome = applied([text], **parameters)
    return text if outcome.text is None else outcome.text[0].as_py()


TAGS = {
    "one<br>two<br/>three<BR />four": "one\ntwo\nthree\nfour",
    "<p>first</p>\n<p class='x'>second</p>": "first\nsecond",
    'a <a href="http://x.org/?a>b" target=_blank>link</a>, <b>bold</b>': "a link, bold",
    "H<sub>2</sub>O and <input disabled> x": "H2O and  x",
    "<tr><td>1</td><td>2</td></tr>": "1 2",
    "x<!-- a > b -->y<!DOCTYPE html>z": "xyz",
    "a<script>if (a < b) { x('</b>') }</script>b": "ab",
    "end</div>": "end",
}
STAYS = [
    *("a < b and c > d", "List<String> x = new Map<K, V>()", "vector<object> v; List<a>", "cp <source> <target>"),
    *("a <b and c> d", "<your name>", "if a<b:", "x <i> y", "<a href=>", "<b", "</", "<", "<p", "<a b='", "<!-- open"),
    *("1 <2> 3", "<B2>", "x</notatag>", "<div class='x' <", "<p<p<p", '<a "x">', "std::map<int, data> m;", "\\<b"),
]


@pytest.mark.parametrize("text", TAGS)
def test_tags_worked_by_hand(text):
    assert stripped(text) == TAGS[text]


@pytest.mark.parametrize("text", STAYS)
def test_what_is_no_tag_stays(text):
    assert stripped(text) == text
    assert stripped(text + " <br>").startswith(text)


REFERENCE = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z0-9]+);")


def unescaped(text):
    """What Python's html module makes of references with a semicolon that are whole ones."""
    return REFERENCE.sub(lambda found: html.unescape(found[0]) if _is_whole(found[0]) else found[0], text)


def _is_whole(reference):
    digits = reference[2:-1].lstrip("xX")
    return len(digits) <= 30 if reference[1] == "#" else reference[1:] in html5


PIECES = [
    "&amp;",
    "&lt;",
    "&amp",
    "&#65;",
    "&#x1F600;",
    "&#x80;",
    "&#0;",
    "&#xD800;",
    "&#x110000;",
    "&#xFFFF;",
    "&nGt;",
]
PIECES += [
    "&",
    ";",
    "#",
    "x",
    "&notit;",
    "&copy=1;",
    "&AMP;",
    "&#11;",
    "&#999999999999;",
    "é",
    "&CounterClockwiseContourIntegral;",
]


@given(st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=12).map("".join))
def test_references_are_resolved_as_by_html(text):
    assert stripped(text, tags=False) == unescaped(text)


@pytest.mark.parametrize("first", "ABCNacnz")
def test_every_name_of_the_table(first):
    text = " ".join(f"&{name}" for name in html5 if name.endswith(";") and name[0] == first)
    assert stripped(text, tags=False) == html.unescape(text)


@given(
    st.lists(
        st.sampled_from(
            ["<b>", "</b>", "<p>", "a", " ", "\n", "<", ">", "<a x=1>", "<!--", "-->", "&lt;", '"', "<td>", "é"]
        )
    )
)
def test_nothing_but_markup_goes(pieces):
    """Without white space, the text is what is left when whole tags are cut out of it, one after another."""
    text = "".join(pieces)
    outcome = applied([text, "plain"])
    if outcome.text is None:
        return
    found, other = outcome.text.to_pylist()
    assert other == "plain"
    rest = iter("".join(html.unescape(text).split()))
    assert all(char in rest for char in "".join(found.split()))
    assert sum(edit.bytes for edit in outcome.edits.values()) == len(text.encode()) - len(found.encode())


def test_edits_are_counted():
    assert applied(["<b>x</b> &amp;", "<br>", "plain", "<!-- -->"]).edits == {
        "tags": Edit(2, 11),
        "comments": Edit(1, 8),
        "entities": Edit(1, 4),
    }
    assert applied(["plain", "a < b & c"]).text is None
    with pytest.raises(ValidationError, match="nothing to do"):
        Markup(tags=False, entities=False)


@pytest.mark.parametrize(
    "piece", ["<", "<a ", "<a b='", '<a b="', "<!--", "<script>", "</b", "&", "&#", "<p<", "<b>", "&a", "<!doctype "]
)
def test_time_is_linear_in_any_text(piece):
    """A megabyte of each takes milliseconds; of a quadratic search it would take hours."""
    text = piece * (1_000_000 // len(piece))
    assert len(stripped(text)) <= len(text)
