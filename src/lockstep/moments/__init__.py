"""What a database's columns hold where they hold points in time.

    names      by what people call such a column
    units      in which numbers they count
    spellings  in which texts they write
    found      how many values of a column are in which of both
    forms      which texts come back byte for byte from a type of PostgreSQL

Owns what the doctor, an inspection and a move must see alike. It opens nothing, and
knows no module of ours but ``wording``.
"""
