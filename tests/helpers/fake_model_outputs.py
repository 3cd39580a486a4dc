"""Made-up answers of a trained model: what `llm4rec showcase`, `faithfulness`, `replay` write."""

from __future__ import annotations

import json
from pathlib import Path

REASON = {
    "user": "7",
    "recent_titles": ["<Fargo> & friends"],
    "item": "1",
    "title": "Heat (1995)",
    "sentence": "Because you liked <Fargo>.",
    "claims": [["item", "<Fargo>", True]],
    "written_by": "SmolLM2-135M",
    "refused": "",
    "refused_claims": [],
    "problems": [],
    "template": "similarity",
    "evidence": {"similar": ["Fargo", 0.83123]},
}


PLAIN = REASON | {
    "item": "2",
    "written_by": "template",
    "refused": "You liked Heat.",
    "refused_claims": [["other", "heat", False]],
    "problems": ["'<Heat>' is a title", "too long"],
}
FAITHFUL = {
    "users": 940, "left_out": 3, "drop_cited": 0.75, "drop_popular": 0.625, "drop_random": 0.5,
    "difference_popular": 0.125, "low_popular": 0.0625, "high_popular": 0.1875, "difference": 0.25,
    "low": 0.125, "high": 0.375, "effect_size": 0.4, "p_t": 1e-9, "p_randomization": 0.0001,
    "share_above": 0.625,
}  # fmt: skip
WAY = {
    "score": 0.125, "difference": 0.0, "low": 0.0, "high": 0.0, "p_t": 1.0, "old_before": 0.5,
    "old_after": 0.5, "forgetting": 0.0, "ms_per_update": 0.01, "selected": 0.0,
}  # fmt: skip
LEARNED = WAY | {"difference": 0.0625, "low": -0.03125, "high": 0.15625, "old_after": 0.25,
                 "forgetting": 0.25, "ms_per_update": 12.34, "selected": 0.1}  # fmt: skip
REPLAY = {"events": 300, "users": 41, "rules": {"frozen": WAY, "selective": LEARNED}}


def add_answer(results: Path, kind: str, content: object, protocol: str = "loo") -> Path:
    """Write what EnhancedGenRec was asked."""
    path = results / kind / "ml-100k" / protocol / "EnhancedGenRec" / "seed_1.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
