"""The parts of Compare: the verdict and its table, the sections below it, the files to keep."""
