from django.db import migrations, models

# Tickets that one statement adds or deletes are counted together, so that a bulk load costs little. A change is counted by
# row: only then PostgreSQL accepts the columns, and the many updates of others, such as those of comments, cost nothing.
COUNT_BY_TRIGGERS = """
    CREATE FUNCTION tickets_count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO tickets_ticketcount (status, priority, assigned_to_id, delta)
        SELECT status, priority, assigned_to_id, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
        FROM affected
        GROUP BY status, priority, assigned_to_id;
        RETURN NULL;
    END $$;

    CREATE FUNCTION tickets_count_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO tickets_ticketcount (status, priority, assigned_to_id, delta)
        VALUES (OLD.status, OLD.priority, OLD.assigned_to_id, -1), (NEW.status, NEW.priority, NEW.assigned_to_id, 1);
        RETURN NULL;
    END $$;

    CREATE FUNCTION tickets_count_none() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM tickets_ticketcount;
        RETURN NULL;
    END $$;

    CREATE TRIGGER tickets_ticket_inserted AFTER INSERT ON tickets_ticket
    REFERENCING NEW TABLE AS affected
    FOR EACH STATEMENT EXECUTE FUNCTION tickets_count_rows();

    CREATE TRIGGER tickets_ticket_deleted AFTER DELETE ON tickets_ticket
    REFERENCING OLD TABLE AS affected
    FOR EACH STATEMENT EXECUTE FUNCTION tickets_count_rows();

    CREATE TRIGGER tickets_ticket_changed AFTER UPDATE OF status, priority, assigned_to_id ON tickets_ticket
    FOR EACH ROW
    WHEN (
        (OLD.status, OLD.priority, OLD.assigned_to_id) IS DISTINCT FROM (NEW.status, NEW.priority, NEW.assigned_to_id)
    )
    EXECUTE FUNCTION tickets_count_change();

    CREATE TRIGGER tickets_ticket_truncated AFTER TRUNCATE ON tickets_ticket
    FOR EACH STATEMENT EXECUTE FUNCTION tickets_count_none();

    -- The triggers above have locked the tickets against writes.
    INSERT INTO tickets_ticketcount (status, priority, assigned_to_id, delta)
    SELECT status, priority, assigned_to_id, count(*) FROM tickets_ticket GROUP BY status, priority, assigned_to_id;
"""
DROP_TRIGGERS = """
    DROP TRIGGER tickets_ticket_inserted ON tickets_ticket;
    DROP TRIGGER tickets_ticket_deleted ON tickets_ticket;
    DROP TRIGGER tickets_ticket_changed ON tickets_ticket;
    DROP TRIGGER tickets_ticket_truncated ON tickets_ticket;
    DROP FUNCTION tickets_count_rows, tickets_count_change, tickets_count_none;
"""


class Migration(migrations.Migration):
    dependencies = [("tickets", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="TicketCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("status", models.CharField(max_length=20)),
                ("priority", models.PositiveSmallIntegerField()),
                ("assigned_to_id", models.BigIntegerField(null=True)),
                ("delta", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL(COUNT_BY_TRIGGERS, DROP_TRIGGERS),
    ]
