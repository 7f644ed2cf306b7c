-- How many users were there, without looking at each of their days.
CREATE INDEX "user_days_by_user" ON "user_days" USING btree ("tenant_id","user_id","day");
