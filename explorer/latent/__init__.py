"""Latent codes as arrays: projection, neighbours, placement, axes, interpolation."""
