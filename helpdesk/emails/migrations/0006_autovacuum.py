from django.db import migrations

from helpdesk.core.storage import autovacuum_often


class Migration(migrations.Migration):
    dependencies = [
        ("emails", "0005_request_id"),
    ]

    operations = [
        autovacuum_often("emails_email"),
        autovacuum_often("emails_attempt"),
    ]
