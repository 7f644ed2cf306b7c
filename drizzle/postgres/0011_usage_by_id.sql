-- A usage record is found by its id, which is made of its time.
DROP INDEX "usage_records_when";
