"""Login by the API and by the admin."""

from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient


def log_in(username, password="guess", address="127.0.0.1"):
    return APIClient().post("/api/auth/token/", {"username": username, "password": password}, REMOTE_ADDR=address)


def log_in_to_admin(username, password="guess", address="127.0.0.1"):
    form = {"username": username, "password": password, "next": reverse("admin:index")}
    return Client().post(reverse("admin:login"), form, REMOTE_ADDR=address)
