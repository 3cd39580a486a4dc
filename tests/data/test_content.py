from __future__ import annotations

import pytest

from llm4rec_recbole.data.atomic_format import AtomicTable
from llm4rec_recbole.data.features import clean_title, read_items, read_users
from llm4rec_recbole.errors import InputError


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Toy Story", "Toy Story"),
        ("Godfather, The", "The Godfather"),
        ("Godfather: Part II, The", "The Godfather: Part II"),
        ("Fish Called Wanda, A", "A Fish Called Wanda"),
        ("Enfer, L'", "L'Enfer"),
        ("Hate (Haine, La)", "Hate (La Haine)"),
        ("Big Blue, The (Grand bleu, Le)", "The Big Blue (Le Grand bleu)"),
        ("Vie est belle, La (Life is Rosey)", "La Vie est belle (Life is Rosey)"),
        ("Good, The Bad and The Ugly, The", "The Good, The Bad and The Ugly"),
        ("I, Worst of All (Yo, la peor de todas)", "I, Worst of All (Yo, la peor de todas)"),
        ("Corrina, Corrina", "Corrina, Corrina"),
        ("Ciao, Professore!", "Ciao, Professore!"),
        ("Land Before Time III (1995)", "Land Before Time III"),
        ("unkonwn", ""),
    ],
)
def test_titles_are_read_as_people_say_them(raw, clean):
    assert clean_title(raw) == clean


def test_ml_100k_items(ml_100k, ml_100k_folder):
    items = read_items(ml_100k_folder / "ml-100k.item").set_index("item_id")
    assert len(items) == 1682
    assert set(ml_100k.item_tokens[1:]) == set(items.index)
    godfather = items.loc["127"]
    assert (godfather.title, godfather.year) == ("The Godfather", 1972)
    assert list(godfather.categories) == ["Action", "Crime", "Drama"]
    assert list(items.loc["1"].categories) == ["Animation", "Children's", "Comedy"]
    assert items.loc["1412"].year == 1995  # the file says "V", the title ends in (1995)
    assert items.index[items.title == ""].tolist() == ["267"]
    assert items.index[items.year.isna()].tolist() == ["267"]
    assert items.index[items.categories.map(len) == 0].tolist() == ["267", "1373"]
    assert items.title.str.contains(r", (?:The|A|An|La|Le|Les)$").sum() == 0
    assert len({category for own in items.categories for category in own}) == 18
    assert items.duplicated(["title", "year"]).sum() == 18  # films under two ids


def test_ml_100k_users(ml_100k_folder):
    users = read_users(ml_100k_folder / "ml-100k.user").set_index("user_id")
    assert len(users) == 943
    assert users.loc["1"].tolist() == [24, "M", "technician"]
    assert (users.age.min(), users.age.max()) == (7, 73)
    assert users.gender.value_counts().to_dict() == {"M": 670, "F": 273}
    assert users.occupation.nunique() == 21


def test_columns_that_are_not_there_stay_empty(tmp_path):
    (tmp_path / "t.item").write_text('item_id:token\tgenre:token_seq\n7\tDrama War\nNA\t"x\n')
    items = read_items(tmp_path / "t.item")
    assert items.item_id.tolist() == ["7", "NA"]
    assert items.title.tolist() == ["", ""]
    assert items.year.isna().all()
    assert items.categories.tolist() == [["Drama", "War"], ['"x']]
    (tmp_path / "t.user").write_text("user_id:token\tage:float\n1\t\n2\t33\n")
    users = read_users(tmp_path / "t.user")
    assert users.age.isna().tolist() == [True, False]
    assert users.occupation.tolist() == ["", ""]


@pytest.mark.parametrize("price", ["$5.00", "1 2", "nan?"])
def test_a_price_that_is_not_a_number_is_refused_with_its_line(tmp_path, price):
    (tmp_path / "t.item").write_text(f"item_id:token\tprice:token\n7\t\n8\t2.5\n9\t{price}\n")
    with pytest.raises(InputError, match=r"t\.item:4: price is '.*', not a number"):
        read_items(tmp_path / "t.item")


@pytest.mark.parametrize("year", ["\u0662\u0660\u0660\u0665", "20055", "V"])
def test_only_four_digits_are_a_year(tmp_path, year):
    row = f"7\tHeat ({year})\t{year}\n"
    (tmp_path / "t.item").write_text(f"item_id:token\ttitle:token_seq\tyear:token\n{row}")
    assert read_items(tmp_path / "t.item").year.isna().all()


def test_an_age_is_in_whole_years_and_nobodys_is_unknown(tmp_path):
    ages = ["25.5", "40000", "inf", "-1", "NaN", "x", "130"]
    rows = "".join(f"{user}\t{age}\n" for user, age in enumerate(ages))
    (tmp_path / "t.user").write_text(f"user_id:token\tage:token\n{rows}")
    found = read_users(tmp_path / "t.user").age
    assert (found[0], found[6]) == (25, 130)
    assert found[1:6].isna().all()


@pytest.mark.parametrize(("read", "kind"), [(read_items, "item"), (read_users, "user")])
def test_what_is_described_twice_is_refused(tmp_path, read, kind):
    (tmp_path / "t").write_text(f"{kind}_id:token\tage:token\na\t1\nb\t2\na\t3\n")
    with pytest.raises(InputError, match=f"t:4: {kind}_id 'a' comes a second time"):
        read(tmp_path / "t")


@pytest.mark.parametrize("read", [read_items, read_users])
def test_a_table_without_ids_is_refused(tmp_path, read):
    (tmp_path / "t").write_text("name:token\tage:float\nx\t1\n")
    with pytest.raises(InputError, match=r"_id' is missing \(there are name, age\)"):
        read(tmp_path / "t")


def test_an_unchanged_file_is_made_into_items_once(ml_100k_folder, monkeypatch):
    first = read_items(ml_100k_folder / "ml-100k.item")
    monkeypatch.setattr(AtomicTable, "texts", None)  # a call would raise TypeError
    assert read_items(ml_100k_folder / "ml-100k.item").equals(first)
