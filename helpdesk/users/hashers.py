import unicodedata

from django.contrib.auth.hashers import Argon2PasswordHasher


def normalize_password(password: str) -> str:
    """Apply NFKC (NIST SP 800-63B, section 5.1.1.2), so that equivalent Unicode input gives the same hash."""
    return unicodedata.normalize("NFKC", password)


class OwaspArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id at the minimum of OWASP's Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane."""

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        plain = normalize_password(password)
        if plain != password:
            # Django encodes once for an unknown username; this makes it take as long as a wrong password.
            super().encode(password, salt)
        return super().encode(plain, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Compare the normalized password, and the original if it differs, for hashes made without normalization."""
        plain = normalize_password(password)
        return super().verify(plain, encoded) or (plain != password and super().verify(password, encoded))
