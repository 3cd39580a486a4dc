"""Pretrained language models that turn text into vectors, once, before anything is trained."""
