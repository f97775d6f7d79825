-- Where the ledger lies, so that one which was restored elsewhere is known. A file has its mark.
-- needs: 2

ALTER TABLE ledger ADD COLUMN place TEXT;
