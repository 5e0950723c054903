import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="NotificationPreference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("ticket_created", "Ticket created"),
                            ("status_changed", "Status changed"),
                            ("comment_added", "Comment added"),
                        ],
                        max_length=30,
                    ),
                ),
                ("channel", models.CharField(choices=[("email", "E-mail"), ("live", "Live")], max_length=10)),
                ("is_enabled", models.BooleanField()),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notification_preferences",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "kind", "channel"), name="subscriptions_preference_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ("ticket_created", "status_changed", "comment_added"))),
                        name="subscriptions_preference_kind_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("channel__in", ["email", "live"])),
                        name="subscriptions_preference_channel_known",
                    ),
                ],
            },
        ),
    ]
