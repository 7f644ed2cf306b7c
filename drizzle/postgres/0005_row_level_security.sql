-- The third time that isolation is said, see docs/decisions/8-row-level-security.md. FORCE, or the tables' owner is not bound.
-- A migration that adds a table of tenants ends with SELECT "bind_to_tenant"('its_name').
-- `tenantry.tenant_id` is set for one transaction: a tenant's id, or `all`. Where it is not set, nothing is there.
-- Settings are read in sub-selects, which run once for a statement and not once for a row.
CREATE FUNCTION "bind_to_tenant"(bound regclass, key name DEFAULT 'tenant_id') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	mine text := format('%I = (select nullif(nullif(current_setting(''tenantry.tenant_id'', true), ''''), ''all'')::uuid)', key);
	anyones text := '(select current_setting(''tenantry.tenant_id'', true) = ''all'')';
BEGIN
	EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', bound);
	EXECUTE format('CREATE POLICY "of_tenant" ON %s USING (%s) WITH CHECK (%s)', bound, mine, mine);
	EXECUTE format('CREATE POLICY "across_tenants" ON %s USING (%s) WITH CHECK (%s)', bound, anyones, anyones);
END $$;
--> statement-breakpoint
SELECT "bind_to_tenant"(attrelid, attname) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE attname = 'tenant_id' AND NOT attisdropped AND relkind = 'r' AND relnamespace = current_schema()::regnamespace;
--> statement-breakpoint
SELECT "bind_to_tenant"('tenants', 'id');
