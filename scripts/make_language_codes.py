"""Make corpuscurate/methods/language/codes.tsv: codes of ISO 639 that name the same language.

    pip install iso639-lang && python scripts/make_language_codes.py

Codes are those of ISO 639-1, 639-2/B and 639-3 as the package iso639-lang (MIT) has them, from SIL's tables of ISO
639-3. "individual" is our own choice: the individual language that a code of a macrolanguage stands for in practice,
where GlotLID, OpenLID and FineWeb-2 name the individual one.
"""

from __future__ import annotations

from pathlib import Path

from iso639 import iter_langs

PATH = Path(__file__).parents[1] / "corpuscurate" / "methods" / "language" / "codes.tsv"
_CHOSEN = """
    aka:twi ara:arb aym:ayr aze:azj bik:bcl doi:dgo est:ekk fas:pes ful:fuv grn:gug iku:ike ipk:esk
    jrb:yud kau:knc kok:gom kom:kpv kon:kng kur:kmr lah:pnb lav:lvs mlg:plt mon:khk msa:zsm nep:npi
    nor:nob oji:ojb ori:ory orm:gaz pus:pbt que:quy sqi:als srd:sro swa:swh tgl:fil uzb:uzn yid:ydd
    zha:zyb zho:cmn
"""
INDIVIDUAL = dict(pair.split(":", 1) for pair in _CHOSEN.split())
HEAD = """\
# Codes of one language: ISO 639-3, 639-1, 639-2/B, and the individual language that a macrolanguage stands for here.
# ISO 639-3 tables by SIL International (iso639-3.sil.org), through the package iso639-lang (MIT).
# The last column is our own.
"""


def main() -> None:
    rows = []
    for each in filter(lambda language: language.pt3, iter_langs()):
        old = each.pt2b if each.pt2b != each.pt3 else ""
        if each.pt1 or old or each.pt3 in INDIVIDUAL:
            rows.append("\t".join([each.pt3, each.pt1, old, INDIVIDUAL.get(each.pt3, "")]))
    PATH.write_text(HEAD + "\n".join(sorted(rows)) + "\n", encoding="utf-8")
    print(f"{PATH}: {len(rows)} languages, {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
