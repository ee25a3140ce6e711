"""One module per figure: what it shows as a frozen value, then a function that only draws it."""
