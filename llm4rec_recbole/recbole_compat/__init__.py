"""Patches for defects of RecBole 1.2.1, grouped by their effect.

changes_results.py holds every patch that moves a number of RecBole's own models under RecBole's
own protocol. The other files move none. model_state.py has what a checkpoint of a run holds. This
folder imports nothing of ours but errors, files and checkpoints.
"""
