"""Turns conversations and raw texts into token ids."""
