"""Runs the product as real processes, breaks it, and holds what happened against what is promised."""
