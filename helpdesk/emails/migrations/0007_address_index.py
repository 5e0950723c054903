import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is made concurrently cannot be made in a transaction.
    atomic = False

    dependencies = [
        ("emails", "0006_autovacuum"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="email",
            index=models.Index(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Lower("address"), name="text_pattern_ops"
                ),
                name="emails_email_address",
            ),
        ),
    ]
