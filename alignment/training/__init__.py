"""Training a LoRA adapter on the assembly's votes: examples, objectives, trainer, checkpoints."""
