"""`llm4rec faithfulness --model M`: do explanations cite the items that the score depends on?

Every test user's first recommendation is explained, as `recommend --explain` does.
analysis/faithfulness.py defines the measurement. Writes
<results_dir>/faithfulness/<dataset>/<protocol>/<method>/seed_<k>.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from llm4rec_recbole.cli.options import add_model_options


def main(argv: Sequence[str]) -> int:
    """Print and write the measurement. Raises InputError when there is no trained model."""
    parser = argparse.ArgumentParser(description="Measure how faithful explanations are.")
    parser.add_argument("--results_dir", default="work", help="folder to write to (%(default)s)")
    add_model_options(parser)
    options = parser.parse_args(argv)
    from llm4rec_recbole.analysis.faithfulness import measure
    from llm4rec_recbole.files import write_json
    from llm4rec_recbole.inference import recommend

    model = recommend.restore_from_args(options)
    result = measure(model)
    path = recommend.result_file(options.results_dir, "faithfulness", model)
    write_json(path, asdict(result))
    print(recommend.describe(model))
    print(
        f"{result.users} users: the score falls by {result.drop_cited:.4g} without the cited "
        f"items, by {result.drop_random:.4g} without as many others;\n"
        f"difference {result.difference:.4g}, "
        f"95 % interval [{result.low:.4g}, {result.high:.4g}], d {result.effect_size:.2f}, "
        f"p {max(result.p_t, 1e-300):.2g} (t), {result.p_randomization:.2g} (randomization); "
        f"above 0 for {100 * result.share_above:.0f} % of users; {result.left_out} left out"
    )
    print(f"written: {path}")
    return 0
