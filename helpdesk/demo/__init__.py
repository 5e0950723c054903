"""Realistic demo tickets by the thousand, exactly as the actions would have written them."""

PASSWORD = "testpass123"  # noqa: S105 -- public, and refused in production
