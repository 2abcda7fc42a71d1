"""What TokenStrip is made of."""
