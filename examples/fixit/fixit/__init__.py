"""FixIt: a maintenance system for a factory, built on Lockstep.

Operators report broken machines, technicians mend them, a storekeeper counts the
parts. Everything lives in one database: a SQLite file, or PostgreSQL behind one URL.

    models/      the tables                  services/   what people do with them
    seed.py      demo data                   web/        pages, API, live updates
    security.py  PINs and tokens             __main__.py the command
"""
