"""Teaching a model the assembly's preferences: examples, LoRA, adapters."""
