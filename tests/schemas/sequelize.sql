-- As Sequelize's sync writes it: quoted plurals, SERIAL, enums named enum_<table>_<column>, times without defaults.
DO 'BEGIN CREATE TYPE "public"."enum_Accounts_state" AS ENUM(''open'', ''frozen''); EXCEPTION WHEN duplicate_object THEN null; END';
CREATE TABLE IF NOT EXISTS "Users" ("id" SERIAL, "email" VARCHAR(255) NOT NULL UNIQUE, "createdAt" TIMESTAMP WITH TIME ZONE NOT NULL, "updatedAt" TIMESTAMP WITH TIME ZONE NOT NULL, PRIMARY KEY ("id"));
CREATE TABLE IF NOT EXISTS "Accounts" ("id" SERIAL, "balanceMinor" INTEGER NOT NULL, "state" "public"."enum_Accounts_state" NOT NULL, "UserId" INTEGER NOT NULL REFERENCES "Users" ("id") ON DELETE CASCADE ON UPDATE CASCADE, "createdAt" TIMESTAMP WITH TIME ZONE NOT NULL, "updatedAt" TIMESTAMP WITH TIME ZONE NOT NULL, PRIMARY KEY ("id"));
CREATE INDEX "accounts_user_id" ON "Accounts" ("UserId");
