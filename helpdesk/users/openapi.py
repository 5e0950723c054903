"""Examples and security schemes of the OpenAPI schema for users and their credentials."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer

from helpdesk.users.authentication import AccessTokenAuthentication, HealthTokenAuthentication
from helpdesk.users.serializers import (
    CredentialsSerializer,
    MeSerializer,
    PasswordChangeSerializer,
    ProfileSerializer,
    RefreshTokenSerializer,
    TokenPairSerializer,
    UserSerializer,
)

ACCESS = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl"
REFRESH = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl"

USER = {
    "id": 7,
    "username": "customer_1",
    "name": "Ana Torres",
    "role": "customer",
    "email": "ana@example.com",
    "language": "es",
    "is_active": True,
    "date_joined": "2026-01-31T09:30:00Z",
}

EXAMPLES = {
    CredentialsSerializer: {"username": "customer_1", "password": "testpass123"},
    RefreshTokenSerializer: {"refresh": REFRESH},
    TokenPairSerializer: {"access": ACCESS, "refresh": REFRESH},
    ProfileSerializer: {"name": "Ana Torres", "language": "es"},
    PasswordChangeSerializer: {"current_password": "testpass123", "new_password": "a longer and better one"},
    UserSerializer: USER,
    MeSerializer: USER | {"pending_email": "ana.torres@example.com"},
}

for serializer, value in EXAMPLES.items():
    extend_schema_serializer(examples=[OpenApiExample("Example", value)])(serializer)


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = AccessTokenAuthentication
    name = "accessToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class HealthTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = HealthTokenAuthentication
    name = "healthToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "The static token of a monitoring system."}
