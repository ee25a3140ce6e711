"""Our own arithmetic units in Verilog, verified bit for bit against the emulation, and synthesised.

``rtl/`` holds the modules; :mod:`blocks`, :mod:`floating`, :mod:`fixed` and :mod:`sequential` are
their catalogue, :mod:`codes` says what the ports carry, and :mod:`simulation` runs them.
"""
