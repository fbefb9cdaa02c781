"""Autoencoders: posterior, networks, objectives, checkpoints and the codec."""
