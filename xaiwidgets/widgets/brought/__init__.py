"""Attributions that were made elsewhere, read and put into the widgets without a model."""
