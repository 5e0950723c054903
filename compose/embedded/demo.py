"""Demo data, once for each database."""

from collections.abc import Mapping

import psycopg

from compose.embedded.data_dir import DataDir
from compose.embedded.options import Options
from compose.embedded.product import manage

DEMO_PASSWORD = "testpass123"


def fill_demo_data(data_dir: DataDir, options: Options, environment: Mapping[str, str]) -> None:
    marker = data_dir.demo_marker(options.database_url)
    if marker.exists():
        return
    if options.database_url and _has_users(options.database_url):
        # Somebody's own database: it gets neither tickets nor an administrator with a known password.
        print("No demo data: the database that DATABASE_URL names has users already.")
    else:
        print(f"Make {options.demo_tickets} demo tickets", flush=True)
        # Production refuses it unless it is told to.
        manage("generate_fake_data", f"--tickets={options.demo_tickets}", "--yes", environment=environment)
        manage("create_demo_admin", "--yes", environment=environment)
    marker.touch()


def _has_users(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT FROM users_user LIMIT 1").rowcount == 1
