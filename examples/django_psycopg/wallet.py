"""A wallet, paid from by two views of a Django application over one pool of psycopg's: one that loses a payment."""

import os
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import models, transaction
from django.http import JsonResponse
from django.urls import path

DATABASE = urlsplit(os.environ["DATABASE_URL"])

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": DATABASE.path[1:],
            "USER": DATABASE.username,
            "PASSWORD": DATABASE.password,
            "HOST": DATABASE.hostname,
            "PORT": DATABASE.port,
            "OPTIONS": {"pool": {"min_size": 3, "max_size": 3}},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
)
django.setup()


class Wallet(models.Model):
    balance = models.IntegerField()

    class Meta:
        app_label = "wallet"
        db_table = "wallets"


class Payment(models.Model):
    wallet = models.ForeignKey(Wallet, models.CASCADE)
    amount = models.IntegerField()

    class Meta:
        app_label = "wallet"
        db_table = "payments"


def paying(find):
    @transaction.atomic
    def pay(request, wallet_id, amount):
        wallet = find(pk=wallet_id)
        if wallet.balance < amount:
            return JsonResponse({"error": "too little"}, status=409)
        Payment.objects.create(wallet=wallet, amount=amount)
        wallet.balance -= amount
        wallet.save()
        return JsonResponse({"balance": wallet.balance})

    return pay


def locked(**key):
    return Wallet.objects.select_for_update().get(**key)


urlpatterns = [
    path("wallets/<int:wallet_id>/pay/<int:amount>", paying(Wallet.objects.get)),
    path("wallets/<int:wallet_id>/pay-locked/<int:amount>", paying(locked)),
]

if __name__ == "__main__":
    execute_from_command_line(["wallet.py", "runserver", "--noreload", f"127.0.0.1:{os.environ['PORT']}"])
