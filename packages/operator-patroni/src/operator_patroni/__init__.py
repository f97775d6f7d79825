"""PostgreSQL clusters under Patroni, as Operator sees them and acts on them."""
