from django.db import migrations

from helpdesk.core.storage import autovacuum_often


class Migration(migrations.Migration):
    # Tables of other packages, of which one refers to users.
    dependencies = [
        ("users", "0001_initial"),
        ("axes", "0001_initial"),
        ("token_blacklist", "0001_initial"),
    ]

    operations = [
        autovacuum_often("token_blacklist_outstandingtoken"),
        autovacuum_often("token_blacklist_blacklistedtoken"),
        autovacuum_often("axes_accessattempt"),
    ]
