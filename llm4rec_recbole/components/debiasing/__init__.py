"""Causal debiasing, Eqs. (13)-(18).

propensity.py        (13), (14)  how likely a pair is observed; losses weighted by its inverse
backdoor.py          (15)        scores averaged over popularity strata
fairness.py          (16)-(18)   an adversary behind a reversed gradient; demographic parity
debiased_loss.py                 the component as EnhancedGenRec uses it
negative_sampling.py             samplers that RecBole's train_neg_sample_args can name
"""
