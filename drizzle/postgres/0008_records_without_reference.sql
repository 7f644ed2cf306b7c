-- A reference is checked for each request; that the tenant is there is said by its row in "tenant_days", written with them.
ALTER TABLE "request_records" DROP CONSTRAINT "request_records_tenant_id_tenants_id_fk";
--> statement-breakpoint
-- What the reference did beside: they go with their tenant.
CREATE FUNCTION "tenants_take_records"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM "request_records" WHERE "tenant_id" = old.id;
	RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER "tenants_take_records" AFTER DELETE ON "tenants" FOR EACH ROW EXECUTE FUNCTION "tenants_take_records"();
