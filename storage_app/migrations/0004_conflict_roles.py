"""Let those who read trades see trade conflicts, and those who execute trades decide them."""

from django.db import migrations

ROLES = {
    "admin": ("view_tradeconflict", "change_tradeconflict"),
    "trader": ("view_tradeconflict", "change_tradeconflict"),
    "viewer": ("view_tradeconflict",),
}


def seed_conflict_roles(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    # Permissions are made after all migrations have run, so the seed makes those it needs itself.
    kind, _ = ContentType.objects.get_or_create(app_label="storage_app", model="tradeconflict")
    for role, codenames in ROLES.items():
        for group in Group.objects.filter(name=role):
            for codename in codenames:
                name = f"Can {codename.partition('_')[0]} trade conflict"
                permission, _ = Permission.objects.get_or_create(
                    content_type=kind, codename=codename, defaults={"name": name}
                )
                group.permissions.add(permission)


def withdraw_conflict_roles(apps, schema_editor):
    Permission = apps.get_model("auth", "Permission")
    for group in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        group.permissions.remove(
            *Permission.objects.filter(
                content_type__app_label="storage_app", content_type__model="tradeconflict"
            )
        )


class Migration(migrations.Migration):
    dependencies = [("storage_app", "0003_trade_conflicts")]

    operations = [migrations.RunPython(seed_conflict_roles, withdraw_conflict_roles)]
