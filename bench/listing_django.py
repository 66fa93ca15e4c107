"""The Django admin over the peers' rows: a list whose foreign key is edited with autocomplete."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from sqlalchemy.engine import make_url


def client(url: str) -> Any:
    """Return Django's test client of somebody who is signed in to its admin."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    urls = ModuleType("bench_urls")
    urls.urlpatterns = []  # type: ignore[attr-defined]
    sys.modules["bench_urls"] = urls
    settings.configure(
        SECRET_KEY="bench",  # noqa: S106 - of a made site in a made world
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="bench_urls",
        DATABASES={"default": _database(url)},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        STATIC_URL="/static/",
        INSTALLED_APPS=[
            "bench",
            *(
                f"django.contrib.{app}"
                for app in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
            ),
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
    )
    django.setup()
    _register()
    from django.contrib import admin
    from django.contrib.auth.models import User
    from django.test import Client
    from django.urls import path

    urls.urlpatterns = [path("admin/", admin.site.urls)]  # type: ignore[attr-defined]
    call_command("migrate", verbosity=0)
    http = Client()
    http.force_login(User.objects.create_superuser("bench"))
    return http


def _register() -> None:
    """Put models over the tables that are there, and their lists into the admin."""
    from django.contrib import admin
    from django.db import models

    class Choice(models.Model):
        name = models.CharField(max_length=255)

        class Meta:
            app_label, managed, db_table = "bench", False, "bench_choice"

        def __str__(self) -> str:
            return str(self.name)

    class Row(models.Model):
        first_name = models.CharField(max_length=255)
        last_name = models.CharField(max_length=255)
        date_of_birth = models.DateField()
        site = models.CharField(max_length=64)
        state = models.CharField(max_length=8, null=True)
        choice = models.ForeignKey(Choice, models.DO_NOTHING, null=True)

        class Meta:
            app_label, managed, db_table = "bench", False, "bench_row"

    @admin.register(Choice)
    class Choices(admin.ModelAdmin):
        search_fields = ("name",)

    @admin.register(Row)
    class Rows(admin.ModelAdmin):
        list_display = ("first_name", "last_name", "date_of_birth", "site", "state", "choice")
        list_editable = ("choice",)
        autocomplete_fields = ("choice",)
        search_fields = ("first_name", "last_name")
        ordering = ("last_name", "first_name", "id")
        list_per_page = 50


def _database(url: str) -> dict[str, Any]:
    """Return Django's words for a database of SQLAlchemy's URL."""
    told = make_url(url)
    if told.get_backend_name() == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": told.database}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": told.database,
        "USER": told.username,
        "PASSWORD": told.password or "",
        "HOST": told.host or told.query.get("host", ""),
        "PORT": told.port or told.query.get("port", ""),
    }
