"""`run_recbole`: every option, one line for each mistake, a table and the record at the end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm4rec_recbole import registry
from llm4rec_recbole.cli.run import llm4rec, parse, run_recbole
from llm4rec_recbole.errors import InputError

pytestmark = pytest.mark.usefixtures("own_folder")

DATA = ["--model=EASE", "--dataset=ml-100k"]
QUIET = ["--dataset=ml-100k", "--quiet=true", "--show_progress=false"]
DRAWN = ["--model=BPR", *QUIET]
RECBOLE = [*DATA, "--protocol=recbole"]
P5 = ["--model=P5", *QUIET]
GENREC = ["--model=GenRec", "--llm=scratch-32x1", "--llm_layers=~", *QUIET]


def error_line(capsys, *argv: str) -> str:
    """The one line on stderr that `run_recbole argv` ends with, status 2."""
    assert run_recbole(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


def test_help_lists_models_and_options_without_importing_torch(tmp_path):
    code = "import sys; from llm4rec_recbole.cli.run import run_recbole; run_recbole(['--help'])"
    code += "; assert not {'torch', 'recbole', 'pandas'} & set(sys.modules), 'heavy'"
    start = time.perf_counter()
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert time.perf_counter() - start < 5  # 0.2 s on an idle machine; the goal is 1 s
    for word in ("SASRec", "RecencyEASE", "GRU4Rec", "ml-100k", "temporal", "--num_threads=0"):
        assert word in out.stdout


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["--seed=1", "--learning_rate", "1e-3"], {"seed": 1, "learning_rate": 0.001}),
        (["--topk=[5, 10]"], {"topk": [5, 10]}),
        (["--data_path=a=b"], {"data_path": "a=b"}),
        (["--x={distribution: popularity}"], {"x": {"distribution": "popularity"}}),
        (["--x=__import__('os').getpid()"], {"x": "__import__('os').getpid()"}),
        (["--x=null", "--y=true"], {"x": None, "y": True}),
        (["--model=1e5"], {"model": "1e5"}),
    ],
)
def test_values_are_yaml_and_nothing_is_evaluated(argv, options):
    assert parse(argv) == options


@pytest.mark.parametrize("argv", [["seed=1"], ["--seed"], ["--seed", "--x=1"], ["--a=1", "--a=1"]])
def test_an_unknown_option_is_refused(argv):
    with pytest.raises(InputError):
        parse(argv)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--model=BERT4Rek", "--dataset=ml-100k"], "did you mean BERT4Rec?"),
        (["--model=sasrec", "--dataset=ml-100k"], "did you mean SASRec?"),
        (["--model=EASE", "--dataset=ml-100"], "did you mean ml-100k?"),
        ([*DATA, "--reg_weigth=3"], "did you mean reg_weight?"),
        ([*DATA, "--protocol=lo"], "did you mean loo?"),
        (["--dataset=ml-100k"], "--model=… is missing"),
        (["-m", "EASE", "-d", "ml-100"], "did you mean ml-100k?"),
        ([*DATA, "--learning_rate=1"], "EASE does not read learning_rate; it reads reg_weight"),
        ([*DATA, "--epochs=2"], "EASE does not read epochs under protocol loo (it is always 1)"),
        ([*DATA, "--nproc=2"], "--nproc is no option of this command"),
        ([*DATA, "--topk=[10,20]"], "protocol loo does not read topk (use --protocol=recbole)"),
        ([*DATA, "--eval_batch_size=9"], "does not read eval_batch_size (use --eval_batch_users)"),
        ([*DATA, "--benchmark_filename=[a,b,c]"], "does not read benchmark_filename"),
        (["-m", "BERT4Rec", "--loss_type=BPR"], "BERT4Rec does not read loss_type"),
        ([*RECBOLE, "--eval_args={splits: {LS: x}}"], "eval_args.splits; did you mean split?"),
        ([*RECBOLE, "--eval_args={split: {RS: [1, 2]}}"], "split.RS is [1, 2] (three shares"),
        ([*RECBOLE, "--eval_args={split: {LS: all}}"], "split.LS is all (valid_and_test"),
        ([*RECBOLE, "--eval_args={mode: uni}"], "eval_args.mode is uni (full, labeled, uni100"),
        ([*RECBOLE, "--metrics=[NDGC]"], "no metric 'NDGC'; did you mean NDCG?"),
        ([*RECBOLE, "--eval_batch_users=9"], "protocol recbole does not read eval_batch_users"),
        (
            [*DRAWN, "--train_neg_sample_args={sample_nun: 2}"],
            "sample_nun; did you mean sample_num?",
        ),
        ([*DATA, "--results_dir=\0"], "results_dir is \\x00 (nothing is named"),
        ([*DATA, "--config_files=gone.yaml"], "gone.yaml: cannot read it"),
        ([*DATA, "--protocol=recbole", "--metrics=[NDCG]"], "add MRR to --metrics"),
        ([*DATA, "--protocol=recbole", "--valid_metric=MRR@7"], "add 7 to --topk"),
        ([*DATA, "--valid_metric=NDCG@7"], "valid_metric is NDCG@7 (one of hit@5, hit@10, "),
        ([*DATA, "--metrics=[Foo]"], "protocol loo does not read metrics (use --protocol=recbole)"),
        ([*DRAWN, "--epochs=many"], "epochs is many (a whole number, 0 or more, or ~)"),
        ([*DATA, "--method=../../x"], "method is ../../x (a name such as SASRec_long, or ~)"),
        ([*DATA, "--method=5"], "method is 5 (a name such as SASRec_long, or ~)"),
        ([*DATA, "--seed=1.5"], "seed is 1.5 (a whole number, 0 to 4294967295)"),
        ([*DATA, "--seed=4294967296"], "seed is 4294967296 (a whole number, 0 to 4294967295)"),
        ([*DATA, "--rm_dup_inter=foo"], "rm_dup_inter is foo (one of first, last, or ~)"),
        ([*DRAWN, "--train_neg_sample_args={sample_num: many}"], "sample_num is many (a whole"),
        ([*DRAWN, "--train_neg_sample_args={sample_num: 0}"], "sample_num is 0 (a whole number, 1"),
        ([*DRAWN, "--train_neg_sample_args={alpha: x}"], "alpha is x (a number in [-10, 10])"),
        ([*DRAWN, "--train_neg_sample_args={dynamic: maybe}"], "dynamic is maybe (true or false)"),
        ([*DRAWN, "--train_neg_sample_args={candidate_num: x}"], "candidate_num is x (a whole"),
        ([*DATA, "--train_batch_size=0"], "train_batch_size is 0 (a whole number, 1 or more)"),
        ([*DATA, "--reg_weight=much"], "reg_weight is much (a number in [0, inf))"),
        ([*DATA, "--load_col=5"], "load_col is 5 (a mapping such as {name: value}, or ~)"),
        (
            [*DATA, "--load_col={inter: [user_id, item_id]}"],
            "load_col reads user_id, item_id of the interactions, but timestamp is needed",
        ),
        (
            ["--model=KGAT", *QUIET],
            "KGAT needs the package dgl, which is not installed",
        ),
        (
            [*P5, "--beam_width=-3", "--decoding=beam"],
            "beam_width is -3 (a whole number, 1 or more)",
        ),
        ([*P5, "--targets_per_prompt=0"], "targets_per_prompt is 0"),
        ([*P5, "--id_tokens=100", "--id_clusters=100"], "100 id tokens for 100 clusters"),
        ([*GENREC, "--beam_width=0", "--decoding=beam"], "beam_width is 0"),
        ([*GENREC, "--max_title_tokens=0"], "max_title_tokens is 0"),
    ],
)
def test_a_mistake_gets_one_line_that_names_the_right_one(capsys, argv, line):
    assert line in error_line(capsys, *argv)


@pytest.mark.parametrize(
    ("argv", "n_items", "message"),
    [
        # RecBole reads no times unless message to: without a property file they would be missing.
        (
            ["--model=EASE"],
            6,
            "timestamp is needed (such as {inter: [user_id, item_id, timestamp]}",
        ),
        (["--model=FM", "--load_col=~"], 6, "FM learns from labels, and nothing makes them"),
        (["--model=SASRec", "--load_col=~", "--protocol=recbole"], 1, "leaves no interaction"),
        (["--model=BPR", "--load_col=~", "--protocol=recbole"], 1, "interacted with all items"),
    ],
)
def test_own_data_that_a_run_cannot_use_are_refused(capsys, tmp_path, argv, n_items, message):
    folder = tmp_path / "dataset" / "shop"
    folder.mkdir(parents=True)
    rows = [f"u{u}\ti{(u + t) % n_items}\t{t}\n" for u in range(6) for t in range(min(4, n_items))]
    head = "user_id:token\titem_id:token\ttimestamp:float\n"
    (folder / "shop.inter").write_text(head + "".join(rows))
    assert message in error_line(
        capsys, *argv, "--dataset=shop", "--quiet=true", "--show_progress=false"
    )


def test_a_defect_is_not_reported_as_bad_input(monkeypatch, capsys):
    from llm4rec_recbole.training import run

    def broken(*arguments):
        raise ValueError("a bug")

    monkeypatch.setattr(run, "load_config", broken)
    assert run_recbole(DATA) == 70
    (log,) = Path("work/log").iterdir()
    assert f"{log} (ValueError: a bug)" in capsys.readouterr().err


def test_broken_yaml_is_named_with_its_line(capsys, tmp_path):
    Path("bad.yaml").write_text("seed: 1\ntopk: [5, 10\nmetrics: NDCG\n")
    assert "bad.yaml:3: " in error_line(capsys, *DATA, "--config_files=bad.yaml")


def test_a_configuration_that_is_no_text_is_named(capsys):
    Path("bad.yaml").write_bytes(b"seed: 1 # \xe9\n")
    assert "bad.yaml: this is not UTF-8 text" in error_line(
        capsys, *DATA, "--config_files=bad.yaml"
    )


def test_an_unknown_option_in_a_file_is_refused_too(capsys):
    Path("bad.yaml").write_text("sead: 1\n")
    assert "did you mean seed?" in error_line(capsys, *DATA, "--config_files=bad.yaml")


@pytest.mark.parametrize("protocol", ["loo", "temporal"])
@pytest.mark.parametrize("model", ["P5", "GenRec", "SASRec", "EASE"])
@pytest.mark.parametrize("items", [["i0"], ["i0", "i1"]])
def test_data_that_leave_nobody_to_test_are_refused(capsys, tmp_path, items, model, protocol):
    """One item, or two of which each user has both or, once more, the first."""
    folder = tmp_path / "dataset" / "shop"
    folder.mkdir(parents=True)
    rows = [
        f"u{user}\t{item}\t5\t{1_700_000_000 + user}"
        for user in range(6)
        for item in (*items, "i0")
    ]
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "shop.inter").write_text("\n".join([head, *rows]) + "\n")
    Path("shop.yaml").write_text("load_col:\n  inter: [user_id, item_id, rating, timestamp]\n")
    line = error_line(
        capsys,
        *(f"--model={model}", "--dataset=shop", "--config_files=shop.yaml"),
        *(f"--protocol={protocol}", "--quiet=true", "--show_progress=false"),
    )
    expected = {"loo": "none of 6 has interacted with three items", "temporal": "0 to test on"}
    assert expected[protocol] in line
    assert not Path("work/runs").exists()


def test_every_model_of_recbole_is_listed_under_the_name_recbole_finds_it_by():
    from recbole.utils import get_model

    listed = registry.models()
    assert len(listed) > 80
    for name in ("GRU4Rec", "FM", "KGAT", "MultiVAE", "SASRec"):
        assert get_model(name).__name__ == name
        assert name in listed


def test_a_run_prints_the_test_metrics_and_where_the_record_lies(capsys):
    assert run_recbole([*DATA, "--seed=3", "--quiet=true", "--show_progress=false"]) == 0
    out = capsys.readouterr().out
    assert "ndcg@10" in out
    assert "uni100" in out
    path = Path(out.strip().rpartition("record: ")[2])
    assert path == Path("work/runs/ml-100k/loo/EASE/seed_3.json")
    assert path.is_file()


def test_options_win_over_files_and_later_files_over_earlier_ones():
    from llm4rec_recbole.training.experiment import prepare

    Path("a.yaml").write_text("reg_weight: 1.0\nseed: 5\n")
    Path("b.yaml").write_text("reg_weight: 2.0\n")
    options = {"seed": 6, "quiet": True}
    config = prepare("EASE", "ml-100k", ["a.yaml", "b.yaml"], options).config
    assert (config["reg_weight"], config["seed"]) == (2.0, 6)


def test_llm4rec_lists_its_commands_and_corrects_a_misspelt_one(capsys):
    assert llm4rec(["--help"]) == 0
    assert "status" in capsys.readouterr().out
    assert llm4rec(["statsu"]) == 2
    assert "did you mean status?" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fetch", "prepare", "status"])
def test_the_help_of_a_command_calls_it_by_its_name(capsys, command):
    assert llm4rec([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: llm4rec {command} ")
