"""Migrate a Django project with the apps of django-oscar or wagtail: python django_tables.py oscar URL."""

import sys
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings
from django.core.management import call_command

BASE = ["admin", "auth", "contenttypes", "sessions", "sites", "messages", "staticfiles", "flatpages"]
OSCAR = """
    analytics checkout address shipping catalogue catalogue.reviews communication partner basket payment offer order
    customer search voucher wishlists dashboard
"""
DASHBOARD = "reports users orders catalogue offers partners pages ranges reviews vouchers communications shipping"
WAGTAIL = """
    contrib.forms contrib.redirects contrib.search_promotions contrib.settings embeds sites users snippets documents images
    search admin locales
"""


def oscar_apps() -> list[str]:
    dashboard = [f"oscar.apps.dashboard.{each}.apps.{each.capitalize()}DashboardConfig" for each in DASHBOARD.split()]
    others = ["haystack", "treebeard", "django_tables2"]
    shop = [f"oscar.apps.{each}.apps.{each.title().replace('.', '')}Config" for each in OSCAR.split()]
    return ["oscar.config.Shop", *shop, *dashboard, *others]


def wagtail_apps() -> list[str]:
    return [*(f"wagtail.{name}" for name in WAGTAIL.split()), "wagtail", "modelcluster", "taggit"]


def main() -> None:
    application, url = sys.argv[1:]
    found = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(found.query).items()}
    more = {}
    if application == "oscar":
        from oscar import defaults

        more = {name: value for name, value in vars(defaults).items() if name.isupper()}
        more["HAYSTACK_CONNECTIONS"] = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
    settings.configure(
        SECRET_KEY="x",
        SITE_ID=1,
        STATIC_URL="/static/",
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        WAGTAIL_SITE_NAME="x",
        INSTALLED_APPS=[
            *(f"django.contrib.{name}" for name in BASE),
            *(oscar_apps() if application == "oscar" else wagtail_apps()),
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": found.path.strip("/"),
                "USER": found.username,
                "HOST": query["host"],
                "PORT": query["port"],
            }
        },
        **more,
    )
    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)


if __name__ == "__main__":
    main()
