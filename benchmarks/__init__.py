"""Measurements that are no part of the pipeline: performance/, studies/, and their results/."""
