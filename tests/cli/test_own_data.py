"""The steps of docs/adding_a_dataset.md for a user's own data are enough."""

from __future__ import annotations

import json
import re
from pathlib import Path

from llm4rec_recbole.cli.run import llm4rec, run_recbole

ITEMS = ["tea", "cup", "pot", "jam", "egg", "oat"]
TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs" / "adding_a_dataset.md").read_text(encoding="utf-8")


def test_a_folder_of_atomic_files_and_a_property_file_are_enough(tmp_path, monkeypatch, capsys):
    (header,) = re.findall(r"```\ndataset/shop/shop.inter\n(.*?)```", PAGE, re.DOTALL)
    (property_file,) = re.findall(r"```yaml\n(# shop.yaml\n.*?)```", PAGE, re.DOTALL)
    folder = tmp_path / "dataset" / "shop"
    folder.mkdir(parents=True)
    rows = [
        f"{user}\t{item}\t{1_700_000_000 + time}\n"
        for user in range(6)
        for time, item in enumerate(ITEMS[user:] + ITEMS[:user])
        if time < 4
    ]
    (folder / "shop.inter").write_text(header + "".join(rows))
    (tmp_path / "shop.yaml").write_text(property_file)
    monkeypatch.chdir(tmp_path)
    assert llm4rec(["prepare", "--dataset", "shop"]) == 0
    assert "shop: 7 users, 6 items, 25 interactions" in capsys.readouterr().out
    run = ["--model=Pop", "--dataset=shop", "--config_files=shop.yaml", "--show_progress=False"]
    assert run_recbole(run) == 0
    record = json.loads(Path("work/runs/shop/loo/Pop/seed_0.json").read_text())
    assert 0 < record["metrics"]["test"]["full"]["hit@10"] <= 1
    (folder / "shop.inter").write_text(header + "".join(rows) + "a\ttea\n")
    assert run_recbole(run) == 2
    assert "shop.inter:27: 2 columns where the header has 3" in capsys.readouterr().err
