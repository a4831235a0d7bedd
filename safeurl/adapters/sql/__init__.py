"""The SQL that SQLite and libSQL share: schema, migrations, statements and the store over them."""
