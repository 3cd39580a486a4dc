"""Causal debiasing, Eqs. (13)-(18).

propensity.py        (13), (14)  observed pairs, their probability; inverse propensity scoring
backdoor.py          (15)        scores averaged over popularity strata
fairness.py          (16)-(18)   an adversary behind a reversed gradient; demographic parity
debiased_loss.py                 the component as EnhancedGenRec uses it
negative_sampling.py             negative samplers for RecBole's train_neg_sample_args
"""
