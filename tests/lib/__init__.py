"""Helpers of the Python tests: real servers in temporary directories, and a peer that misbehaves."""
