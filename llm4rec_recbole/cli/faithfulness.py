"""`llm4rec faithfulness --model M`: do the explanations cite what the model goes by?

Every test user's first recommendation is explained, as `recommend --explain` would; what is
measured stands in analysis/faithfulness.py. Writes
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
    found = measure(model)
    path = recommend.result_file(options.results_dir, "faithfulness", model)
    write_json(path, asdict(found))
    print(recommend.describe(model))
    print(
        f"{found.users} users: without the cited items the score falls by {found.drop_cited:.4g}, "
        f"without as many others by {found.drop_random:.4g};\ndifference {found.difference:.4g}, "
        f"95 % interval [{found.low:.4g}, {found.high:.4g}], d {found.effect_size:.2f}, "
        f"p {max(found.p_t, 1e-300):.2g} (t), {found.p_randomization:.2g} (randomization); "
        f"above 0 for {100 * found.share_above:.0f} % of users; {found.left_out} left out"
    )
    print(f"written: {path}")
    return 0
