"""Let administrators start imports and cancel runs, and those who read reports look on."""

from django.db import migrations

ROLES = {
    "admin": ("view_jobrun", "add_jobrun", "change_jobrun"),
    "trader": ("view_jobrun",),
}


def seed_job_roles(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    # Permissions are made after all migrations have run, so the seed makes those it needs itself.
    kind, _ = ContentType.objects.get_or_create(app_label="storage_app", model="jobrun")
    for role, codenames in ROLES.items():
        for group in Group.objects.filter(name=role):
            for codename in codenames:
                name = f"Can {codename.partition('_')[0]} job run"
                permission, _ = Permission.objects.get_or_create(
                    content_type=kind, codename=codename, defaults={"name": name}
                )
                group.permissions.add(permission)


def withdraw_job_roles(apps, schema_editor):
    Permission = apps.get_model("auth", "Permission")
    for group in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        group.permissions.remove(
            *Permission.objects.filter(
                content_type__app_label="storage_app", content_type__model="jobrun"
            )
        )


class Migration(migrations.Migration):
    dependencies = [("storage_app", "0006_job_runs")]

    operations = [migrations.RunPython(seed_job_roles, withdraw_job_roles)]
