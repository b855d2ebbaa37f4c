"""The database says when what is free has changed, and numbers the claims on one site's day in the order they came."""

from django.db import migrations, models

WATCHED = (
    "booking_reservation",
    "estate_activityallotment",
    "estate_closure",
    "estate_deployment",
    "estate_employerlicence",
    "estate_fault",
    "estate_room",
    "estate_scanner",
    "estate_session",
    "estate_site",
)
FUNCTION = """
CREATE FUNCTION booking_calendar_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO booking_calendar_change DEFAULT VALUES;
    RETURN NULL;
END $$
"""
WATCH = """
CREATE TRIGGER booking_calendar_changed AFTER INSERT OR UPDATE OR DELETE ON {0}
FOR EACH STATEMENT EXECUTE FUNCTION booking_calendar_changed()
"""


class Migration(migrations.Migration):
    dependencies = [
        ("booking", "0002_initial"),
        ("estate", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="CalendarChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ],
            options={"db_table": "booking_calendar_change"},
        ),
        migrations.RunSQL(FUNCTION, "DROP FUNCTION booking_calendar_changed()"),
        *[
            migrations.RunSQL(WATCH.format(table), f"DROP TRIGGER booking_calendar_changed ON {table}")
            for table in WATCHED
        ],
        migrations.RunSQL("CREATE SEQUENCE booking_claim_order", "DROP SEQUENCE booking_claim_order"),
    ]
