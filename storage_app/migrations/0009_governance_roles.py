"""Let those who manage strategies approve versions, and administrators ask for approval."""

from django.db import migrations

# Permission → its model.
MODELS = {"add_paramdecision": "paramdecision", "govern_strategy": "strategy"}
ROLES = {
    "admin": ("add_paramdecision", "govern_strategy"),
    "developer": ("add_paramdecision",),
}


def seed_governance_roles(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    # Permissions are made after all migrations have run, so the seed makes those it needs itself.
    for role, codenames in ROLES.items():
        for group in Group.objects.filter(name=role):
            for codename in codenames:
                kind, _ = ContentType.objects.get_or_create(
                    app_label="storage_app", model=MODELS[codename]
                )
                permission, _ = Permission.objects.get_or_create(
                    content_type=kind, codename=codename, defaults={"name": codename}
                )
                group.permissions.add(permission)


def withdraw_governance_roles(apps, schema_editor):
    Permission = apps.get_model("auth", "Permission")
    for group in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        group.permissions.remove(
            *Permission.objects.filter(
                content_type__app_label="storage_app", codename__in=ROLES[group.name]
            )
        )


class Migration(migrations.Migration):
    dependencies = [("storage_app", "0008_governance")]

    operations = [migrations.RunPython(seed_governance_roles, withdraw_governance_roles)]
