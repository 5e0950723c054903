from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0004_blank_stored_tokens"),
    ]

    operations = [
        migrations.AddField(
            model_name="addresschange",
            name="session",
            field=models.CharField(blank=True, db_default="", default="", max_length=32, verbose_name="session"),
        ),
    ]
