"""Seed the four roles as groups: administrator, strategy developer, trader and viewer."""

from django.db import migrations

READ_ACCOUNTS = (
    "storage_app.view_account",
    "storage_app.view_accountsnapshot",
    "storage_app.view_accountstrategy",
)
READ_STRATEGIES = ("storage_app.view_strategy", "storage_app.view_paramversion")
MANAGE_STRATEGIES = (
    "storage_app.add_strategy",
    "storage_app.change_strategy",
    "storage_app.add_paramversion",
)
READ_TRADES = (
    "trades_app.view_trade",
    "trades_app.view_dailykline",
    "trades_app.view_adjustfactor",
)
READ_REPORTS = ("storage_app.view_report",)
EXECUTE_TRADES = ("storage_app.execute_trade",)
ADMINISTER = (
    "storage_app.add_account",
    "storage_app.change_account",
    "storage_app.add_accountstrategy",
    "storage_app.change_accountstrategy",
    "storage_app.delete_accountstrategy",
    "storage_app.view_user",
    "storage_app.add_user",
    "storage_app.change_user",
    "storage_app.view_accountgrant",
    "storage_app.add_accountgrant",
    "storage_app.change_accountgrant",
    "storage_app.delete_accountgrant",
    "storage_app.view_auditentry",
    "auth.view_group",
    "auth.add_group",
    "auth.change_group",
    "auth.delete_group",
)
ROLES = {
    "admin": (
        *READ_ACCOUNTS,
        *READ_STRATEGIES,
        *MANAGE_STRATEGIES,
        *READ_TRADES,
        *READ_REPORTS,
        *EXECUTE_TRADES,
        *ADMINISTER,
    ),
    "developer": (*READ_ACCOUNTS, *READ_STRATEGIES, *MANAGE_STRATEGIES),
    "trader": (
        *READ_ACCOUNTS,
        *READ_STRATEGIES,
        *READ_TRADES,
        *READ_REPORTS,
        *EXECUTE_TRADES,
    ),
    "viewer": (*READ_ACCOUNTS, *READ_STRATEGIES, *READ_TRADES),
}
# Permissions are made after all migrations have run, so the seed makes those it needs itself.
OWN_MODELS = {"execute_trade": "account"}


def seed_roles(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    for role, permissions in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.add(*(_permission(apps, name) for name in permissions))


def _permission(apps, name):
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    app_label, codename = name.split(".")
    model = OWN_MODELS.get(codename) or codename.partition("_")[2]
    kind, _ = ContentType.objects.get_or_create(app_label=app_label, model=model)
    permission, _ = Permission.objects.get_or_create(
        content_type=kind, codename=codename, defaults={"name": f"Can {codename.replace('_', ' ')}"}
    )
    return permission


def remove_roles(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("storage_app", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(seed_roles, remove_roles)]
