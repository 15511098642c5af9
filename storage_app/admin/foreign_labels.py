"""Words of other packages that come without Chinese, collected so that ours translates them.

The catalogue of this project is read before those of the packages, so a word that stands here
needs no change in theirs. Nothing imports this module; makemessages reads it.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

THEME = (
    _("Action"),
    _("Add new item"),
    _("Add row"),
    _("After you've created a user, you’ll be able to edit more user options."),
    _("All"),
    _("All applications"),
    _("Apply Filters"),
    _("Cancel"),
    _("Clear all filters"),
    _("Clear selection"),
    _("Close"),
    _("Collapse"),
    _("Dark"),
    _("Date from"),
    _("Date to"),
    _("Delete"),
    _("Edit"),
    _("Expand row"),
    _("Filters"),
    _("From"),
    _("General"),
    _("Go back"),
    _("Light"),
    _("Log out"),
    _("More actions"),
    _("New"),
    _("Next"),
    _("No data"),
    _("No results found"),
    _("No results matching your query"),
    _("None"),
    _("Previous"),
    _("Record picture"),
    _("Reset filters"),
    _("Return to site"),
    _("Run"),
    _("Run the selected action"),
    _("Search apps and models..."),
    _("Select action"),
    _("Select action to run"),
    _("Select all rows"),
    _("Select record"),
    _("Select value"),
    _("Submit"),
    _("System"),
    _("This item will be deleted."),
    _("Time"),
    _("To"),
    _("Toggle password visibility"),
    _("Type to search"),
    _("Unknown"),
    _("Update"),
    _("Value"),
    _("View"),
    _("Welcome back to"),
    _("You have been successfully logged out from the administration"),
    _("You don’t have permission to view or edit anything."),
    _(" By %(filter_title)s "),
)

PASSWORDS = (
    _(
        "Raw passwords are not stored, so there is no way to see this "
        "user’s password, but you can change the password using "
        '<a href="{}" class="text-primary-600 dark:text-primary-500">this form</a>.'
    ),
)

SIGN_IN_GUARD = (
    _("access attempt"),
    _("access attempts"),
    _("Attempt Time"),
    _("Failed Logins"),
    _("IP Address"),
    _("User Agent"),
    _("Username"),
    _("Path"),
    _("HTTP Accept"),
    _("Account locked: too many login attempts. Please try again later."),
    _("Account locked: too many login attempts. Contact an admin to unlock your account."),
)

JOBS = (
    _("Celery Results"),
    _("Periodic Tasks"),
    _("Periodic Task Name"),
    _("Started DateTime"),
    _("The name of the PeriodicTask which ran the task"),
    _("Task Name"),
    _("Worker"),
    _("Schedule"),
    _("Arguments"),
    _("Execution Options"),
    _("One-off Task"),
    _("Task (registered)"),
    _("Task (custom)"),
    _("clocked"),
    _("clocked time"),
)

IMPORT_AND_EXPORT = (
    _("Format"),
    _("Select format"),
    _("Import"),
    _("Export"),
    _("Confirm import"),
    _("Choose file to upload"),
)

# What is said of a text that holds no parameters, by JSON's reader and by our own.
PARAMETER_TEXTS = (
    _("Expecting value"),
    _("Expecting property name enclosed in double quotes"),
    _("Expecting ',' delimiter"),
    _("Expecting ':' delimiter"),
    _("Extra data"),
    _("Unterminated string starting at"),
    _("Invalid control character at"),
    _("Invalid \\escape"),
    _("Illegal trailing comma before end of object"),
    _("Illegal trailing comma before end of array"),
    _("write an object of names and values"),
    _("a key is given twice"),
    _("not a finite number"),
    _("nested too deep"),
    _("too much for YAML; use JSON"),
    _("a value cannot be read"),
    _("references are not supported; write the value out"),
    _("the file is neither .json nor .yaml"),
    _("the file is not UTF-8"),
    _("the file is far larger than parameters may be"),
)

# Models without a page of their own, whose permissions have names all the same.
MODELS = (
    _("access attempt expiration"),
    _("access failure"),
    _("access log"),
    _("chord counter"),
    _("group result"),
    _("task result"),
    _("task results"),
)

SECOND_FACTOR = (
    _("TOTP device"),
    _("TOTP devices"),
    _("Static device"),
    _("Static devices"),
)
