"""Add reports of broker reconciles and repairs, and let administrators repair stores."""

from django.db import migrations, models

ROLES = {"admin": ("repair_stores",)}


def seed_repair_roles(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    # Permissions are made after all migrations have run, so the seed makes those it needs itself.
    kind, _ = ContentType.objects.get_or_create(app_label="storage_app", model="report")
    for role, codenames in ROLES.items():
        for group in Group.objects.filter(name=role):
            for codename in codenames:
                permission, _ = Permission.objects.get_or_create(
                    content_type=kind,
                    codename=codename,
                    defaults={"name": "Can compare and repair stores"},
                )
                group.permissions.add(permission)


def withdraw_repair_roles(apps, schema_editor):
    Permission = apps.get_model("auth", "Permission")
    own = Permission.objects.filter(
        content_type__app_label="storage_app", codename__in=[*ROLES["admin"]]
    )
    for group in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        group.permissions.remove(*own)


class Migration(migrations.Migration):
    dependencies = [("storage_app", "0004_conflict_roles")]

    operations = [
        migrations.AlterModelOptions(
            name="report",
            options={
                "default_permissions": ("view",),
                "ordering": ("-started_at",),
                "permissions": (("repair_stores", "Can compare and repair stores"),),
                "verbose_name": "report",
                "verbose_name_plural": "reports",
            },
        ),
        migrations.AlterField(
            model_name="report",
            name="kind",
            field=models.CharField(
                choices=[
                    ("import", "Import"),
                    ("verify", "Comparison of stores"),
                    ("klines", "Quality of bars"),
                    ("backup", "Backup"),
                    ("reconcile", "Broker reconcile"),
                    ("repair", "Repair of stores"),
                ],
                max_length=20,
                verbose_name="kind",
            ),
        ),
        migrations.RunPython(seed_repair_roles, withdraw_repair_roles),
    ]
