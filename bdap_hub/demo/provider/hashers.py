"""How the client's secret is kept: it is drawn at random, so that a slow hash would only slow down its every use."""

from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class RandomSecretHasher(PBKDF2PasswordHasher):
    """For 256 random bits, which nobody can try out; never for what a person has chosen."""

    algorithm = "random_secret"
    iterations = 1
