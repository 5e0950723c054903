from django.db import migrations

from helpdesk.core.storage import autovacuum_often


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0001_initial"),
    ]

    operations = [
        autovacuum_often("notifications_notification"),
        autovacuum_often("notifications_frame"),
    ]
