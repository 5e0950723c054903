from django.db import migrations

from helpdesk.core.storage import autovacuum_often


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0007_unaccent"),
        ("axes", "0001_initial"),
        ("token_blacklist", "0001_initial"),
    ]

    operations = [
        autovacuum_often("token_blacklist_outstandingtoken"),
        autovacuum_often("token_blacklist_blacklistedtoken"),
        autovacuum_often("axes_accessattempt"),
    ]
