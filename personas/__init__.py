"""Who sits in the room: sampling, profiles, prompts."""
