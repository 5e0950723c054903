from django.db import migrations, models

import helpdesk.core.request_id


class Migration(migrations.Migration):
    dependencies = [
        ("tickets", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="ticketevent",
            name="request_id",
            field=models.CharField(
                db_default="",
                default=helpdesk.core.request_id.request_id,
                editable=False,
                max_length=64,
                verbose_name="request",
            ),
        ),
    ]
