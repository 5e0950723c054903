from django.db import migrations, models

import helpdesk.core.request_id


class Migration(migrations.Migration):
    dependencies = [
        ("emails", "0004_move_unsubscriptions"),
    ]

    operations = [
        migrations.AddField(
            model_name="email",
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
