"""Realistic demo tickets by the thousand, exactly as the actions would have written them."""
