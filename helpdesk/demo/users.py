"""Demo users: customer_1 …, agent_1 …, all with the same password."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management import CommandError
from django.utils import timezone

from helpdesk.demo import PASSWORD
from helpdesk.users.models import Language, Role, User

PRODUCTION_SETTINGS = "config.settings.production"
ROWS_PER_INSERT = 2000
# Longer than the history of their tickets.
MEMBERSHIP = timedelta(days=200)

FIRST_NAMES = {
    Language.ENGLISH: (
        "Olivia Jack Amelia Harry Grace George Chloe Oscar Emily Callum Priya Thomas Hannah Samuel Freya Daniel Zara "
        "Liam Charlotte Owen Maya Ethan Alice Rory Nadia Lewis Ruth Adam Imogen Patrick Leah"
    ),
    Language.SPANISH: (
        "María Álvaro Lucía Javier Begoña Sergio Inés Joaquín Rocío Andrés Núria Raúl Sofía Íñigo Carmen Óscar Elena "
        "Martín Paula Héctor Ángela Rubén Pilar Tomás Ainhoa Jesús Claudia Víctor Teresa Adrián Noelia"
    ),
}
LAST_NAMES = {
    Language.ENGLISH: (
        "Bennett Hughes Patel Murphy Clarke Foster Osborne Reid Whitfield Morgan Ahmed Sinclair Barnes Holloway "
        "Doherty Pearson Fletcher Nolan Chapman Ellis Mercer Quinn Ashworth Khan Prescott Lawson Gallagher"
    ),
    Language.SPANISH: (
        "García Fernández Muñoz Ibáñez Castaño Ruiz Ortega Núñez Peña Domínguez Vidal Serrano Gutiérrez Cañas Molina "
        "Echeverría Navarro Sáez Lozano Prieto Giménez Rivas Bermúdez Soler Aguilar Méndez Cortés"
    ),
}


def refuse_production(*, confirmed: bool) -> None:
    """Raise CommandError with the production settings, unless confirmed: the demo's password is public."""
    if settings.SETTINGS_MODULE == PRODUCTION_SETTINGS and not confirmed:
        raise CommandError(
            "These are the production settings, and this makes demo data and users with a public password. "
            "Add --yes if that is what you want."
        )


def get_or_create_users(role: Role, *, count: int, languages: Sequence[Language]) -> list[User]:
    """Return the demo users 1 to count of a role, new or not.

    Raises CommandError when a name or address belongs to somebody who is not active in that role.
    """
    users = [
        User(
            username=f"{role.value}_{number}",
            email=f"{role.value}_{number}@example.com",
            name=full_name(role, number, language_of(number, languages)),
            role=role,
            language=language_of(number, languages),
            password=hashed_password(),
            date_joined=timezone.now() - MEMBERSHIP,
        )
        for number in range(1, count + 1)
    ]
    User.objects.bulk_create(users, batch_size=ROWS_PER_INSERT, ignore_conflicts=True)
    names = [user.username for user in users]
    active = {user.username: user for user in User.objects.active().filter(role=role, username__in=names)}
    for name in names:
        if name not in active:
            raise CommandError(f"{name} is needed as an active {role.value}, but the name or its address is taken.")
    return [active[name] for name in names]


@cache
def hashed_password() -> str:
    """Return the hash that all demo users share; each one would take as long as some hundred tickets."""
    return make_password(PASSWORD)


def language_of(number: int, languages: Sequence[Language]) -> Language:
    return languages[(number - 1) % len(languages)]


def full_name(role: Role, number: int, language: Language) -> str:
    first, last = FIRST_NAMES[language].split(), LAST_NAMES[language].split()
    # Customers and agents start at different places of lists whose lengths have no common factor.
    start = number if role == Role.CUSTOMER else number + 11
    return f"{first[start % len(first)]} {last[start % len(last)]}"
