"""What `check` says of `index:` before a run; messages are compared whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from support.masking import MaskDigits, documents, write_shards
from support.protocol import CutSeen

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.errors import InputError, RecipeError
from corpuscurate.core.spec import Spec
from corpuscurate.core.stage import Stage
from corpuscurate.engine.check import check_spec
from corpuscurate.engine.check_index import check_last_edits, recipe_line
from corpuscurate.recipe.load import load_recipe
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.stages.minhash import MinHash
from corpuscurate.stages.normalize import Normalize


def refused(*stages: Stage) -> str:
    with pytest.raises(RecipeError) as error:
        check_last_edits(stages)
    return str(error.value)


def test_an_edit_after_a_comparison_is_refused_with_the_lines_to_write() -> None:
    near = MinHash(threshold=0.75, verify="signature", index=("../2026-10/out", "../2026 11/out"))
    assert refused(Normalize(), near, Length(min_words=5), Normalize(name="again", form="nfkc")) == (
        "stages[1] (minhash): `index` compares the text as it is there with what earlier runs wrote, but stages[3] "
        "(again) edits text later, so that what is compared is not what will be written, and a copy could stand in the "
        "output of both runs. Leave `index` out of this stage, and give the comparison with earlier runs a stage of "
        "its own after the last edit:\n"
        "    - minhash: {threshold: 0.75, verify: signature}\n"
        "    - length: {min_words: 5}\n"
        "    - normalize: {name: again, form: nfkc}\n"
        "    - minhash: {name: against_earlier, threshold: 0.75, verify: signature, index: [../2026-10/out, "
        '"../2026 11/out"]}'
    )


def test_several_comparisons_and_edits_are_named_together() -> None:
    index = ("old/out",)
    assert refused(Exact(index=index), Normalize(), MinHash(name="near", index=index), Normalize(name="again")) == (
        "stages[0] (exact) and stages[2] (near): `index` compares the text as it is there with what earlier runs "
        "wrote, but stages[1] (normalize) and stages[3] (again) edit text later, so that what is compared is not "
        "what will be written, and a copy could stand in the output of both runs. Leave `index` out of these stages, "
        "and give the comparison with earlier runs stages of its own after the last edit:\n"
        "    - exact\n"
        "    - normalize\n"
        "    - minhash: {name: near}\n"
        "    - normalize: {name: again}\n"
        "    - exact: {name: exact_against_earlier, index: [old/out]}\n"
        "    - minhash: {name: minhash_against_earlier, index: [old/out]}"
    )


def test_the_name_in_the_lines_is_free_and_stages_without_a_word_are_not_spelled() -> None:
    index = ("old/out",)
    said = refused(Exact(name="against_earlier", index=index), Normalize())
    assert said.endswith("    - exact: {name: against_earlier_2, index: [old/out]}")
    said = refused(Exact(index=index), MaskDigits(name="mask"))
    assert said.endswith("give the comparison with earlier runs a stage of its own after the last edit.")
    assert "stages[1] (cut) edits text" in refused(Exact(index=index), CutSeen(name="cut"))


@pytest.mark.parametrize(
    "stages",
    [
        (Exact(), Normalize()),
        (Normalize(), Exact(index=("old/out",)), Length(min_words=2)),
        (Exact(index=("old/out",)), CutSeen(name="cut", mode="tag")),
        (Exact(), Normalize(), Exact(name="against_earlier", index=("old/out",))),
    ],
)
def test_what_is_compared_after_the_last_edit_is_let_through(stages: tuple[Stage, ...]) -> None:
    check_last_edits(stages)


@pytest.mark.parametrize("mode", ["drop", "tag"])
def test_check_and_run_refuse_it_before_they_read_anything(tmp_path: Path, mode: str) -> None:
    write_shards(tmp_path / "in", documents("a", 20, 1), 1)
    stages = (Exact(index=("not/there",), mode=mode), Normalize(mode=mode))  # type: ignore[arg-type]
    spec = Spec(Source(paths=("in",)), stages, Sink(path="out"), Settings(runner="inprocess"), tmp_path)
    with pytest.raises(RecipeError, match="`index` compares the text as it is there"):
        check_spec(spec)
    with pytest.raises(RecipeError, match="`index` compares the text as it is there"):
        Pipeline(spec.source, spec.stages, spec.sink, spec.settings, tmp_path).run()
    assert not (tmp_path / "out").exists()


def test_the_lines_are_a_recipe_that_can_run(tmp_path: Path) -> None:
    write_shards(tmp_path / "in", documents("a", 40, 1), 1)
    write_shards(tmp_path / "more", documents("b", 40, 2), 1)
    (tmp_path / "old.yaml").write_text(
        "input: {paths: in, id: id}\nstages: [minhash, normalize]\noutput: {path: old}\n"
    )
    spec = load_recipe(tmp_path / "old.yaml")
    Pipeline(spec.source, spec.stages, spec.sink, Settings(runner="inprocess"), tmp_path).run()
    wrong = (
        "input: {paths: more, id: id}\nstages:\n"
        "    - minhash: {preset: fineweb, keep: {by: grade, rank: ['no', 'true', \"it's\", '1', ä]}, index: old}\n"
        "    - normalize: {form: none}\noutput: {path: new}\n"
    )
    (tmp_path / "new.yaml").write_text(wrong)
    with pytest.raises(RecipeError) as error:
        check_spec(load_recipe(tmp_path / "new.yaml"))
    lines = str(error.value).partition("\n")[2]
    before, after = wrong.partition("    - minhash")[0], "output: {path: new}\n"
    (tmp_path / "right.yaml").write_text(f"{before}{lines}\n{after}")
    stages = load_recipe(tmp_path / "right.yaml").stages
    given = load_recipe(tmp_path / "new.yaml").stages
    assert [stage.label for stage in stages] == ["minhash", "normalize", "against_earlier"]
    assert stages[2] == given[0].model_copy(update={"name": "against_earlier"})
    assert stages[0] == given[0].model_copy(update={"index": ()})
    assert stages[1] == given[1]


def test_values_in_a_line_are_read_as_they_were() -> None:
    values = ["no", "null", "1", "1.5", "a: b", "#", "ä", "-", "~", "..", "a b", "", "Yes", "2024-01-01", "a#b"]
    given = {"keep": {"by": "x", "rank": [*values, 2, 2.5, True]}, "index": ["a/b", "a b"]}
    (line,) = yaml.safe_load(recipe_line(Exact.model_validate_json(json.dumps(given)), {}))
    assert line == {"exact": given}


def test_other_edits_are_named_with_what_differs(tmp_path: Path) -> None:
    write_shards(tmp_path / "in", documents("a", 20, 1), 1)
    spec = Spec(Source(paths=("in",)), (), Sink(path="out"), Settings(runner="inprocess"), tmp_path)

    def made(out: str, *stages: Stage) -> str:
        Pipeline(spec.source, stages, Sink(path=out), spec.settings, tmp_path).run()
        return str(tmp_path / out)

    def said(old: str, *stages: Stage) -> str:
        against = Exact(name="against", index=(old,))
        with pytest.raises(InputError) as error:
            check_spec(replace(spec, stages=(*stages, against)))
        return str(error.value)

    old = made("old", Exact(), Normalize(), Normalize(name="more", form="nfkc"))
    end = "A text that both have would be written twice. Put the same edits with the same values before stages"
    assert said(old, Normalize()) == (
        f"index {old} cannot be compared with this run: the texts in its data/ went through normalize, then normalize, "
        f"and those that stages[1] (against) compares through normalize. {end}[1] (against), or name another index."
    )
    assert said(old) == (
        f"index {old} cannot be compared with this run: the texts in its data/ went through normalize, then normalize, "
        f"and those that stages[0] (against) compares through no edit. {end}[0] (against), or name another index."
    )
    assert said(old, Normalize(control=False), Normalize(name="more", form="nfd")) == (
        f"index {old} cannot be compared with this run: the texts in its data/ were edited in another way than those "
        "that stages[2] (against) compares (normalize control: True there, False here; normalize form: 'nfkc' there, "
        f"'nfd' here). {end}[2] (against), or name another index."
    )
    other = type("MaskDigits", (MaskDigits,), {"version": 2, "__module__": MaskDigits.__module__})
    old = made("masked", MaskDigits(name="mask"), Exact())
    assert (
        "(support.masking.MaskDigits by: '#' there, '0' here; support.masking.MaskDigits: its code or a package that it"
        " uses has changed)" in said(old, other(name="mask", by="0"))
    )
    old = str(tmp_path / "old")
    check_spec(replace(spec, stages=(Normalize(), Normalize(name="m", form="nfkc"), Exact(index=(old,)))))
