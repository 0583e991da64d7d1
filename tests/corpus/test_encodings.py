from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
import webencodings
from hypothesis import given, settings
from hypothesis import strategies as st

from train.corpus.read import read_pages
from train.corpus.sources.encodings import bad_text, decode, open_table


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<p>Käse".encode(), "<p>Käse"),
        ("<p>Käse".encode("cp1252"), "<p>Käse"),
        ("<meta charset=iso-8859-1><p>“Käse”".encode("cp1252"), "<meta charset=iso-8859-1><p>“Käse”"),
        ("<meta charset='windows-1251'>Мир".encode("cp1251"), "<meta charset='windows-1251'>Мир"),
        (
            b'<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS">' + "日本".encode("shift_jis"),
            "日本",
        ),
        (b"\xef\xbb\xbf<p>bom", "<p>bom"),
        ("<p>wide".encode("utf-16"), "<p>wide"),
        (b"<meta charset=utf-8><p>K\xe4se", "<p>Käse"),
        ("<meta charset=utf-8><p>Käse für Zürich".encode() + b" cut \xe2\x80", "Käse für Zürich cut \ufffd"),
        (b"<meta charset=zlib><p>x", "<p>x"),
        (b"<meta charset=unicode_escape>\\x41", "\\x41"),
        (b"<meta charset=nonsense><p>x", "<p>x"),
        ("<meta charset=windows-31j>①㈱髙".encode("cp932"), ">①㈱髙"),
        ("<meta charset=euc-jp>橋".encode("euc_jp") + b"\xad\xa1\xfc\xe2", ">橋①髙"),
        ("<meta charset=tis-620>สะพาน".encode("cp874"), ">สะพาน"),
        ("<meta charset=iso-8859-9>“ığş”".encode("cp1254"), ">“ığş”"),
        ("<meta charset=euc-kr>똠방".encode("cp949"), ">똠방"),
        ("<meta charset=gb2312>镕㐀".encode("gb18030"), ">镕㐀"),
        ("<meta charset=iso-2022-jp>橋".encode("iso2022_jp"), ">橋"),
        ("<meta charset=hz-gb-2312>桥".encode("hz"), ">桥"),
        ("<meta charset=windows-1251>Мост".encode(), ">Мост"),
        ("<!-- <meta charset=koi8-r> --><meta charset=utf-8>Brücke".encode(), ">Brücke"),
        ("<script>'<meta charset=utf-8>'</script><meta charset=koi8-r>Мост".encode("koi8-r"), ">Мост"),
        ("<meta name=a content='charset=utf-8'><meta charset=koi8-r>Мост".encode("koi8-r"), ">Мост"),
        ('<?xml version="1.0" encoding="windows-1251"?><p>Мост'.encode("cp1251"), "<p>Мост"),
        ("<p>wide, no mark".encode("utf-16-be"), "<p>wide, no mark"),
    ],
)
def test_encodings_are_those_of_the_web(content: bytes, expected: str) -> None:
    assert decode(content).endswith(expected)


LABELS = sorted(
    label for label, name in webencodings.LABELS.items() if name not in ("replacement", "utf-16le", "utf-16be")
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LABELS), st.data())
def test_every_name_of_the_web_is_read_as_the_web_has_it(label: str, data: st.DataObject) -> None:
    codec = webencodings.lookup(label).codec_info
    letters = [char for char in map(chr, (*range(0xA0, 0x600), *range(0x3041, 0x3090))) if _fits(char, codec.name)]
    text = "".join(data.draw(st.lists(st.sampled_from(letters), min_size=3, max_size=20))) if letters else "x"
    content = f"<meta charset='{label}'><p>".encode() + text.encode(codec.name)
    if not content.isascii() and _fits_bytes(content):
        return  # bytes that are UTF-8 by chance
    assert decode(content).endswith(f"<p>{text}")


def _fits(char: str, codec: str) -> bool:
    try:
        return char.encode(codec).decode(codec) == char
    except (UnicodeError, ValueError):
        return False


def _fits_bytes(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


TABLE = "page_id,site,text,role\n1,a.example,Die Brücke öffnet,main\n1,a.example,Menü,boilerplate\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_table_is_read_in_the_encodings_that_spreadsheets_write(encoding: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("table.csv.gz" if packed else "table.csv")
    path.write_bytes(gzip.compress(TABLE.encode(encoding)) if packed else TABLE.encode(encoding))
    assert read_pages(path)[0].texts == ["Die Brücke öffnet", "Menü"]


def test_a_table_of_an_encoding_that_cannot_be_told_is_refused() -> None:
    text = open_table(io.BytesIO("a,b\nМост откроют,1\n".encode("cp1251")))
    assert [bad_text(line, text.encoding) is None for line in text] == [True, False]
    mixed = open_table(io.BytesIO("Käse\n".encode() + "Käse\n".encode("cp1252")))
    assert [bad_text(line, mixed.encoding) is None for line in mixed] == [True, False]
