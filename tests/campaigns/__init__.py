"""Campaigns: many random attempts to break the commands. Each prints what was tried and survived.

python -m tests.campaigns.fuzz --inputs 2000 --seed 0
python -m tests.campaigns.kills --rounds 50 --seed 0
python -m tests.campaigns.resources
"""
