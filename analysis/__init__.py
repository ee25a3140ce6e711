"""What the mathematics says of accumulation, and the arithmetic it speaks of."""
