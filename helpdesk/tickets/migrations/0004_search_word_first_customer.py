from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tickets", "0003_request_id"),
    ]

    operations = [
        migrations.AddField(
            model_name="searchword",
            name="first_customer",
            field=models.BigIntegerField(null=True),
        ),
    ]
