"""Tests of the map on show: what it finds by taking parts away, and whether it is about the model at all."""
