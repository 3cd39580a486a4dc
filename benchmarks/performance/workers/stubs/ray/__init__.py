"""An empty `ray`, so that stock RecBole's `from ray import tune` succeeds without it.

Only RecBole's hyper-parameter search by ray uses it, which no benchmark runs.
"""

tune = None
