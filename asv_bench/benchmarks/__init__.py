"""Benchmarks of raptors against NumPy, for asv."""
