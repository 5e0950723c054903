import pytest

from helpdesk.users import credentials


@pytest.fixture
def checked(monkeypatch):
    """The usernames whose password was checked."""
    names = []
    authenticate = credentials.authenticate

    def recording(request, **pair):
        names.append(pair["username"])
        return authenticate(request, **pair)

    monkeypatch.setattr(credentials, "authenticate", recording)
    return names


@pytest.fixture
def office(client, superuser):
    """The browser of a superuser who has logged in."""
    client.force_login(superuser)
    return client
