"""Training: examples, objectives, LoRA, trainer, adapter."""
