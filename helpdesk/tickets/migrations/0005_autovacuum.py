from django.db import migrations

from helpdesk.core.storage import autovacuum_often


class Migration(migrations.Migration):
    dependencies = [
        ("tickets", "0004_search_word_first_customer"),
    ]

    operations = [
        autovacuum_often("tickets_ticket"),
        autovacuum_often("tickets_comment"),
        autovacuum_often("tickets_ticketevent"),
        autovacuum_often("tickets_searchdocument"),
        autovacuum_often("tickets_searchword"),
    ]
