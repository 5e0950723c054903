from django.contrib.postgres.operations import UnaccentExtension
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0006_name_is_one_line"),
    ]

    operations = [UnaccentExtension()]
