"""What commands print: screens, tables and progress."""
