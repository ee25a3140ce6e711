"""Layers as data, the three GEMMs that follow from each, and the catalogue of networks."""
