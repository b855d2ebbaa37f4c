"""A deployer's file of deprivation: by postcode, or a directory with a file of areas; what cannot be read is named by its line."""

import gzip
from pathlib import Path

import pytest

from gantry.cli.deprivation import Unreadable, by_area, rows


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_one_file_with_postcodes_and_deciles(tmp_path: Path) -> None:
    file = written(
        tmp_path / "a.csv",
        "Postcode,LSOA code,Index of Multiple Deprivation Decile\nm20 4bx,E01005243,7\nnone,E01,1\nL7 8XP,E02,\n",
    )
    assert list(rows(file)) == [("M204BX", "E01005243", 7)]


def test_a_directory_and_a_file_of_areas_with_ranks(tmp_path: Path) -> None:
    directory = written(tmp_path / "d.csv", "pcds,lsoa11\nM20 4BX,E1\nL7 8XP,E2\nZZ1 1ZZ,E9\n")
    areas = tmp_path / "areas.csv.gz"
    areas.write_bytes(gzip.compress(b"LSOA code (2011),Income Domain Rank (where 1 is most deprived)\nE1,2\nE2,1\n"))
    assert list(rows(directory, areas)) == [("M204BX", "E1", 10), ("L78XP", "E2", 5)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no heading for the postcode"),
        ("a,b\n1,2\n", "no heading for the postcode"),
        ("postcode,b\nM20 4BX,2\n", "no heading for the decile"),
        ("postcode,decile\nM20 4BX,often\n", "line 2: 'often' is no number"),
        ("postcode,decile\nM20 4BX,11\n", "11 is no decile"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        list(rows(written(tmp_path / "a.csv", text)))


@pytest.mark.data
def test_the_real_index_and_its_postcodes(real_data: Path) -> None:
    folder = real_data / "geography" / "lsoa-demography"
    index = next(folder.glob("File_7a*.csv.gz"))
    tenths = by_area(index)
    assert len(tenths) == 34_753, "England and Wales, ranked together"
    assert min(tenths.values()) == 1 and max(tenths.values()) == 10
    counts = [list(tenths.values()).count(tenth) for tenth in range(1, 11)]
    assert max(counts) - min(counts) < 25, counts
    read = list(rows(folder / "lsoa_lat_long_postcodes.csv.gz", index))
    assert len(read) > 30_000
