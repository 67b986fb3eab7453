"""Aligning a model with the assembly's decisions: LoRA training, retention, controls, cards."""
