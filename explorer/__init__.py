"""Latent Explorer: train autoencoders and look inside their latent space."""

import os

# App and trainer share a machine. OpenMP threads that spin while they wait made 2-thread training
# 40 to 70 times slower beside another busy process; it has to be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
