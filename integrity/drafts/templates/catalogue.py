"""All templates, in the order in which `integrity init` tries them: what says most about a database comes first."""

from integrity.drafts.template import Template
from integrity.drafts.templates import relations, rows, sums
from integrity.errors import UsageError
from integrity.suggestion import suggest

TEMPLATES = {template.name: template for template in (*sums.TEMPLATES, *rows.TEMPLATES, *relations.TEMPLATES)}


def find_template(name: str) -> Template:
    """Return the template of that name.

    Raises:
        UsageError: there is none; the hint lists them.
    """
    if name not in TEMPLATES:
        hint = suggest(name, TEMPLATES, always=f"The templates are: {', '.join(TEMPLATES)}.")
        raise UsageError(f"there is no template {name!r}", hint=hint)
    return TEMPLATES[name]
