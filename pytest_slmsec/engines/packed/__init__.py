"""Choices scored without computing a token twice: shared prefix, ragged tiles, choices as branches of a tree."""
