from django.apps.registry import Apps
from django.db import migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

ROWS_PER_UPDATE = 5000


def blank_stored_tokens(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Blank the refresh tokens that were stored, a bounded number of rows a transaction."""
    tokens = apps.get_model("token_blacklist", "OutstandingToken").objects.exclude(token="").order_by("pk")
    last = 0
    while ids := list(tokens.filter(pk__gt=last).values_list("pk", flat=True)[:ROWS_PER_UPDATE]):
        with transaction.atomic():
            tokens.model.objects.filter(pk__in=ids).update(token="")
        last = ids[-1]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("users", "0003_address_change"),
        ("token_blacklist", "0013_alter_blacklistedtoken_options_and_more"),
    ]

    operations = [migrations.RunPython(blank_stored_tokens, migrations.RunPython.noop)]
