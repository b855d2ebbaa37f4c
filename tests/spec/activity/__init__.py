"""Activity: how much is left, how much to give."""
