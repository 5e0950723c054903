from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("emails", "0003_address_change"),
    ]

    operations = [
        migrations.DeleteModel(name="Unsubscription"),
    ]
