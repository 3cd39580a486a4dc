"""What EnhancedGenRec's options may be; properties/model/EnhancedGenRec.yaml says what they do."""

from __future__ import annotations

from typing import Any

from llm4rec_recbole.errors import number_in, whole_number

#: Whole numbers, and the least that each may be.
WHOLE = {
    "hidden_size": 1,
    "lora_rank": 0,
    "text_tokens": 1,
    "max_relation_items": 0,
    "retrieved_entries": 0,
    "retrieved_reviews": 0,
    "popularity_strata": 1,
}
#: Numbers, and the interval of each.
INTERVALS = {
    "spectral_init_std": "[0, inf)",
    "content_init_weight": "[0, inf)",
    "hidden_dropout_prob": "[0, 1)",
    "relation_reg": "(0, inf)",
    "relation_decay": "(0, 1]",
    "relation_weight": "[0, inf)",
    "backdoor_weight": "[0, 1]",
    "ips_clip_quantile": "[0, 1]",
    "fairness_weight": "[0, inf)",
    "aspect_loss_weight": "[0, inf)",
    "aspect_score_weight": "[0, inf)",
    "adaptation_rate": "[0, inf)",
    "adaptation_momentum": "[0, 1)",
    "adaptation_uncertainty_decay": "[0, inf)",
    "adaptation_update_fraction": "(0, 1]",
    "adaptation_ewc": "[0, inf)",
}


def check_options(config: Any) -> None:
    """Raises InputError, naming the option, for one that is out of its range."""
    for name, least in WHOLE.items():
        whole_number(name, config[name], least)
    for name, interval in INTERVALS.items():
        number_in(interval, name, config[name])
