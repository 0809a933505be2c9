"""From conversations and raw texts to token ids."""
