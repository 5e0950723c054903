import unicodedata

from django.contrib.auth.hashers import Argon2PasswordHasher


def normalized(password: str) -> str:
    """Return a password as it is hashed, however a keyboard composes its letters: NIST SP 800-63B's choice of NFKC."""
    return unicodedata.normalize("NFKC", password)


class OwaspArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id at the minimum of OWASP's Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane."""

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        plain = normalized(password)
        if plain != password:
            # Django encodes for a username that nobody has: that takes as long as a wrong password then.
            super().encode(password, salt)
        return super().encode(plain, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Try the password normalized, and as it is only if that differs: older hashes were made so."""
        plain = normalized(password)
        return super().verify(plain, encoded) or (plain != password and super().verify(password, encoded))
