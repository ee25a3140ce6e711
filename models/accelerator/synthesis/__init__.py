"""Our own arithmetic units in Verilog, verified bit for bit against the emulation, and synthesised.

``rtl/`` holds the modules, :mod:`blocks` the catalogue, :mod:`simulation` runs them.
"""
