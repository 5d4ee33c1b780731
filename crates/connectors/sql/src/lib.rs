//! `sql-query`: one statement or one transaction against a SQL database.
