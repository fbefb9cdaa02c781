"""Training: configuration, the loop and the run that makes a checkpoint."""
