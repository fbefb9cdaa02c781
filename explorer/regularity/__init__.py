"""Measures of how regular a latent space is, each with its interval and null value."""
