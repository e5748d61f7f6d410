-- As TypeORM's migrations write it: constraints named by hashes, uuid keys by default, a key of two columns, a decimal.
CREATE TYPE "public"."account_kind_enum" AS ENUM('current', 'savings');
CREATE TABLE "tenant" ("id" uuid NOT NULL DEFAULT gen_random_uuid(), "name" character varying(20) NOT NULL, "version" integer NOT NULL, CONSTRAINT "UQ_56211336b5ff35fd944f2259173" UNIQUE ("name"), CONSTRAINT "PK_da8c6efd67bb301e810e56ac139" PRIMARY KEY ("id"));
CREATE TABLE "account" ("tenantId" uuid NOT NULL, "number" integer NOT NULL, "kind" "public"."account_kind_enum" NOT NULL DEFAULT 'current', "balanceMinor" numeric(12,2) NOT NULL, "deletedAt" TIMESTAMP, CONSTRAINT "CHK_0bb4a0d4e2c1f60ee0b1f63a5d" CHECK ("number" > 1000 AND "number" < 2000), CONSTRAINT "PK_b8b3cf0c3a0a5b8d9e1f2a7c6d5" PRIMARY KEY ("tenantId", "number"));
ALTER TABLE "account" ADD CONSTRAINT "FK_2b0b4d1b3b7b1a6b8d1f1d0e3a9" FOREIGN KEY ("tenantId") REFERENCES "tenant"("id") ON DELETE NO ACTION ON UPDATE NO ACTION;
