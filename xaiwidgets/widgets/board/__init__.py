"""What a scoreboard is made of."""
