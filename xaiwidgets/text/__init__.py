"""Texts as models see them: tokens with their place in the raw text, groups of them, embeddings, generation."""
