"""Runs the product as real processes, breaks one of them, and checks the recorded results against the promises."""
