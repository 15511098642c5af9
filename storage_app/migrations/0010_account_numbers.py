"""Let administrators and traders see whole account numbers; others see their last digits."""

from django.db import migrations

ROLES = ("admin", "trader")
CODENAME = "view_account_number"
NAME = "Can see whole account numbers"


def seed_number_roles(apps, schema_editor):
    Permission = apps.get_model("auth", "Permission")
    # Permissions are made after all migrations have run, so the seed makes those it needs itself.
    ContentType = apps.get_model("contenttypes", "ContentType")
    kind, _ = ContentType.objects.get_or_create(app_label="storage_app", model="account")
    permission, _ = Permission.objects.get_or_create(
        content_type=kind, codename=CODENAME, defaults={"name": NAME}
    )
    for group in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        group.permissions.add(permission)


def withdraw_number_roles(apps, schema_editor):
    Permission = apps.get_model("auth", "Permission")
    found = Permission.objects.filter(content_type__app_label="storage_app", codename=CODENAME)
    for group in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        group.permissions.remove(*found)


class Migration(migrations.Migration):
    dependencies = [("storage_app", "0009_governance_roles")]

    operations = [
        migrations.AlterModelOptions(
            name="account",
            options={
                "default_permissions": ("add", "change", "view"),
                "ordering": ("account_id",),
                "permissions": (
                    ("execute_trade", "Can record trades and move positions"),
                    ("view_account_number", "Can see whole account numbers"),
                ),
                "verbose_name": "account",
                "verbose_name_plural": "accounts",
            },
        ),
        migrations.RunPython(seed_number_roles, withdraw_number_roles),
    ]
