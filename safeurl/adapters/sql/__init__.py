"""The SQL of SQLite and libSQL: schema, migrations, statements and the store that uses them."""
