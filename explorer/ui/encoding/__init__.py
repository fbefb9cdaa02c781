"""The parts of Encode: the session's pictures, ways to bring them in, and what is made of them."""
