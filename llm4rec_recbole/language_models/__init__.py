"""Pretrained language models: loading, text encoding, the transformer body, LoRA."""
