from django.db import migrations, models

import helpdesk.core.text


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0005_addresschange_session"),
    ]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="name",
            field=models.CharField(
                blank=True,
                max_length=150,
                validators=[helpdesk.core.text.validate_one_line, helpdesk.core.text.validate_visible],
                verbose_name="name",
            ),
        ),
    ]
