import factory
from django.contrib.auth.hashers import make_password

from helpdesk.users.models import Role, User

PASSWORD = "correct horse battery"


class UserFactory(factory.django.DjangoModelFactory[User]):
    username = factory.Sequence(lambda n: f"user_{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    name = factory.Sequence(lambda n: f"User Number {n}")
    password = factory.LazyFunction(lambda: make_password(PASSWORD))

    class Meta:
        model = User

    class Params:
        agent = factory.Trait(role=Role.AGENT)
        superuser = factory.Trait(role=Role.AGENT, is_superuser=True)
