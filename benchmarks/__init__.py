"""Programs that measure and print a table. They assert nothing: a slow machine is no bug."""
