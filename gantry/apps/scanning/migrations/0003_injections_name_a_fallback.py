import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("estate", "0001_initial"), ("scanning", "0002_worklist_changes_are_numbered")]

    operations = [
        migrations.AddField(
            model_name="injection",
            name="fallback",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="estate.scanner"
            ),
        ),
    ]
